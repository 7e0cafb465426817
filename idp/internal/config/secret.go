package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// SecretFlag adds the flag of a secret: the value itself is never an argument, which every process of the machine could
// read; --NAME-file names a file.
func SecretFlag(fs *pflag.FlagSet, prefix, name, usage string) {
	fs.String(name+"-file", "", usage+" (file; or "+EnvName(prefix, name)+")")
}

// Secret returns the text of a secret from the file of its flag, else from the variable PREFIX_NAME. Errors: *Error,
// also when neither is there.
func Secret(fs *pflag.FlagSet, prefix, name string) (string, error) {
	flag, env := "--"+name+"-file", EnvName(prefix, name)
	if f := fs.Lookup(name + "-file"); f != nil && f.Value.String() != "" {
		text, err := read(f.Value.String())
		if err != nil {
			return "", &Error{flag, err.Error()}
		}
		return trimmed(flag, string(text))
	}
	if v, ok := os.LookupEnv(env); ok {
		return trimmed(env, v)
	}
	return "", &Error{flag, "name a file that holds it, or set " + env}
}

func trimmed(where, s string) (string, error) {
	if s = strings.TrimSpace(s); s == "" {
		return "", &Error{where, "it is empty"}
	}
	return s, nil
}

// Key returns a secret of KeySize bytes, written in base64 (any variant) or hexadecimal. Errors: *Error.
func Key(fs *pflag.FlagSet, prefix, name string) ([]byte, error) {
	text, err := Secret(fs, prefix, name)
	if err != nil {
		return nil, err
	}
	if k, ok := ParseKey(text); ok {
		return k, nil
	}
	return nil, &Error{"--" + name + "-file", fmt.Sprintf("write %d random bytes in base64 or hexadecimal: `openssl rand -base64 %d` makes them", KeySize, KeySize)}
}

// ParseKey reads a key, and reports whether text is one.
func ParseKey(text string) ([]byte, bool) {
	if len(text) == hex.EncodedLen(KeySize) {
		if k, err := hex.DecodeString(text); err == nil {
			return k, true
		}
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	k, err := base64.RawStdEncoding.Strict().DecodeString(text)
	return k, err == nil && len(k) == KeySize
}

// read returns a small file.
func read(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}
