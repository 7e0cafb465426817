package main

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/keyring"
)

const signerFlag = "--signer"

func signerFlags(f *pflag.FlagSet) {
	f.String("signer", "", "who holds new signing keys instead of the database: pkcs11:token=LABEL?module-path=/usr/lib/….so (RFC 7512)")
	config.SecretFlag(f, envPrefix, "signer-pin", "PIN of the signer's token")
}

// readSigner connects to what holds signing keys; nil where nothing does. Errors: *config.Error.
func readSigner(cmd *cobra.Command) (keyring.External, error) {
	text := str(cmd, "signer")
	if text == "" {
		return nil, nil //nolint:nilnil // most have none
	}
	module, label, err := parseSigner(text)
	if err != nil {
		return nil, err
	}
	pin, err := config.Secret(cmd.Flags(), envPrefix, "signer-pin")
	if err != nil {
		return nil, err
	}
	return openSigner(module, label, pin)
}

// parseSigner reads a PKCS #11 URI with the two attributes that are needed (RFC 7512 §2.3).
func parseSigner(text string) (module, label string, err error) {
	wrong := func(why string) error { return &config.Error{Where: signerFlag, Problem: why} }
	rest, ok := strings.CutPrefix(text, "pkcs11:")
	if !ok {
		return "", "", wrong("write pkcs11:token=LABEL?module-path=/usr/lib/….so")
	}
	path, query, _ := strings.Cut(rest, "?")
	for at, part := range append(strings.Split(path, ";"), strings.Split(query, "&")...) {
		name, value, _ := strings.Cut(part, "=")
		value, err := url.PathUnescape(value)
		if err != nil {
			return "", "", wrong("part " + name + ": percent-encoding is wrong")
		}
		inQuery := at > strings.Count(path, ";")
		switch {
		case name == "token" && !inQuery && label == "":
			label = value
		case name == "module-path" && inQuery && module == "":
			module = value
		case name == "pin-value" || name == "pin-source":
			return "", "", wrong("no PIN here, where every process can read it: use --signer-pin-file")
		default:
			return "", "", wrong("only token and ?module-path are known, each once")
		}
	}
	if module == "" || label == "" {
		return "", "", wrong("name both the token and ?module-path")
	}
	return module, label, nil
}
