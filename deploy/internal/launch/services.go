package launch

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// The services, as processes and log files are named.
const (
	IDP         = "idp"
	CaseService = "caseservice"
	Portal      = "portal"
)

// Config says how the services run. They keep their data in Dir and are reached on loopback.
type Config struct {
	Binaries
	Dir   string // must be there; see Prepare
	Ports ServicePorts
	SMTP  int // port of the mail server
	// PortalHost is the host name of the portal; empty: localhost. 127.0.0.1 makes it another site than the issuer.
	PortalHost string
	// Flags and Env are added for single services, by name.
	Flags, Env map[string][]string
}

// ServicePorts are the ports of the public and the private listeners.
type ServicePorts struct{ IDP, CaseAPI, Portal, IDPPrivate, CaseAPIPrivate, PortalPrivate int }

// Issuer is the base URL of the identity provider.
func (c Config) Issuer() string { return base("localhost", c.Ports.IDP) }

// CaseAPI is the base URL of the case API and the audience of its tokens.
func (c Config) CaseAPI() string { return base("localhost", c.Ports.CaseAPI) }

// Portal is the base URL of the portal.
func (c Config) Portal() string {
	if c.PortalHost != "" {
		return base(c.PortalHost, c.Ports.Portal)
	}
	return base("localhost", c.Ports.Portal)
}

// Admin is the base URL of the identity provider's private listener.
func (c Config) Admin() string { return base("127.0.0.1", c.Ports.IDPPrivate) }

const mailFrom = "Ellis <no-reply@ellis.example>"

func (c Config) smtpURL() string { return "smtp://" + Loopback(c.SMTP) }

func base(host string, port int) string { return "http://" + host + ":" + strconv.Itoa(port) }

// path is a file of the data folder.
func (c Config) path(name string) string { return filepath.Join(c.Dir, name) }

// SecretFile is the path of a secret: one of those that Prepare makes, or another that the caller keeps beside them.
func (c Config) SecretFile(name string) string { return filepath.Join(c.Dir, "secrets", name) }

// The databases.
func (c Config) idpDatabase() string  { return "sqlite:" + c.path("idp.db") }
func (c Config) caseDatabase() string { return "sqlite:" + c.path("cases.db") }

// IDPSpec starts the identity provider.
func (c Config) IDPSpec() Spec {
	return c.spec(IDP, c.Binaries.IDP, c.Ports.IDP, c.Ports.IDPPrivate, "serve",
		"--issuer", c.Issuer(), "--database", c.idpDatabase(),
		"--smtp-url", c.smtpURL(), "--mail-from", mailFrom,
		"--kek-file", c.SecretFile(kek), "--pepper-file", c.SecretFile(pepper), "--checkpoint-file", c.path("checkpoints"))
}

// CaseAPISpec starts the case API.
func (c Config) CaseAPISpec() Spec {
	return c.spec(CaseService, c.Binaries.CaseService, c.Ports.CaseAPI, c.Ports.CaseAPIPrivate, "serve",
		"--issuer", c.Issuer(), "--audience", c.CaseAPI(), "--database", c.caseDatabase(), "--code-key-file", c.SecretFile(codeKey))
}

// PortalSpec starts the portal as a client whose secret is in the file SecretFile(clientID).
func (c Config) PortalSpec(clientID string) Spec {
	return c.spec(Portal, c.Binaries.CaseService, c.Ports.Portal, c.Ports.PortalPrivate, "portal",
		"--issuer", c.Issuer(), "--api", c.CaseAPI(), "--public-url", c.Portal(),
		"--client-id", clientID, "--client-secret-file", c.SecretFile(clientID))
}

func (c Config) spec(name, path string, public, private int, args ...string) Spec {
	args = append(args, "--listen", Loopback(public), "--private-listen", Loopback(private))
	return Spec{
		Name: name, Path: path, Args: append(args, c.Flags[name]...), Env: c.Env[name],
		Ready: base("127.0.0.1", private) + "/readyz",
	}
}

// CommandEnv are the variables with which the commands of both services find their data, so that a shell that has them
// needs no flags.
func (c Config) CommandEnv() []string {
	return []string{
		"IDP_DATABASE=" + c.idpDatabase(), "IDP_ISSUER=" + c.Issuer(), "IDP_CHECKPOINT_FILE=" + c.path("checkpoints"),
		"IDP_KEK_FILE=" + c.SecretFile(kek), "IDP_PEPPER_FILE=" + c.SecretFile(pepper), "IDP_SMTP_URL=" + c.smtpURL(), "IDP_MAIL_FROM=" + mailFrom,
		"IDP_URL=" + c.Admin(), // what `idp healthcheck` asks
		"CASESERVICE_DATABASE=" + c.caseDatabase(), "CASESERVICE_ISSUER=" + c.Issuer(), "CASESERVICE_AUDIENCE=" + c.CaseAPI(),
		"CASESERVICE_CODE_KEY_FILE=" + c.SecretFile(codeKey), "CASESERVICE_URL=" + base("127.0.0.1", c.Ports.CaseAPIPrivate),
	}
}

// Command runs one command of a binary over the data of c and returns what it printed. A failure is told with what it
// said.
func (c Config) Command(ctx context.Context, binary string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // a binary that was just built
	cmd.Env = Environ(c.CommandEnv()...)
	cmd.SysProcAttr = bound()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(binary), strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}
