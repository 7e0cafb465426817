package launch

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The services, as processes and log files are named.
const (
	IDP         = "idp"
	CaseService = "caseservice"
	Portal      = "portal"
)

// CaseAPIClient is the client_id as which the case API asks the identity provider, and the name of the file of its secret.
const CaseAPIClient = "case-api"

// Config says how the services run. They keep their data in Dir and are reached on loopback.
type Config struct {
	Binaries
	Dir   string // must be there; see Prepare
	Ports ServicePorts
	SMTP  int // port of the mail server
	// PortalHost is the host name of the portal; empty: localhost. 127.0.0.1 makes it another site than the issuer.
	PortalHost string
	// Databases are data source names for where the services keep what lasts; empty: SQLite files in Dir.
	Databases Databases
	// Redis is the URL of where replicas share the rest; empty: every process keeps that to itself.
	Redis string
	// Flags and Env are added for single services, by name.
	Flags, Env map[string][]string

	replica int // from 1; 0: there is one of each
	at      ServicePorts
}

// Unlimited are flags of the identity provider for a run in which one machine is everybody: its limits are for strangers.
func Unlimited(more ...string) []string {
	return append([]string{"--begin-rate", "0", "--form-rate", "0", "--failure-rate", "0"}, more...)
}

// Databases are those of the two services.
type Databases struct{ IDP, Cases string }

// Replica returns the configuration of one of several replicas, which listens at ports of its own and is reached through a
// load balancer at the ports of c. n counts from 1.
func (c Config) Replica(n int, at ServicePorts) Config {
	c.replica, c.at = n, at
	return c
}

// listens is where a process of c listens.
func (c Config) listens() ServicePorts {
	if c.replica == 0 {
		return c.Ports
	}
	return c.at
}

// ServicePorts are the ports of the public and the private listeners.
type ServicePorts struct{ IDP, CaseAPI, Portal, IDPPrivate, CaseAPIPrivate, PortalPrivate int }

// Choose gives a free port to every listener of c that has none, and to its mail server. There may be replicas: then it returns
// their ports, and the private ones of c are those of the first.
func (p *Ports) Choose(c *Config, replicas int) ([]ServicePorts, error) {
	at := make([]ServicePorts, replicas)
	all := []*int{&c.SMTP}
	for i := range at {
		all = append(all, at[i].each()...)
	}
	if err := p.fill(all); err != nil {
		return nil, err
	}
	if s := &c.Ports; replicas > 0 {
		s.IDPPrivate, s.CaseAPIPrivate, s.PortalPrivate = at[0].IDPPrivate, at[0].CaseAPIPrivate, at[0].PortalPrivate
	}
	return at, p.fill(c.Ports.each())
}

func (s *ServicePorts) each() []*int {
	return []*int{&s.IDP, &s.CaseAPI, &s.Portal, &s.IDPPrivate, &s.CaseAPIPrivate, &s.PortalPrivate}
}

// fill gives a free port to each that is none yet.
func (p *Ports) fill(list []*int) (err error) {
	for _, to := range list {
		if *to != 0 {
			continue
		}
		if *to, err = p.Free(); err != nil {
			return err
		}
	}
	return nil
}

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

// loopback is where a load balancer of ours sends from.
const loopback = "127.0.0.0/8,::1/128"

const mailFrom = "Ellis <no-reply@ellis.example>"

func (c Config) smtpURL() string { return "smtp://" + Loopback(c.SMTP) }

func base(host string, port int) string { return "http://" + host + ":" + strconv.Itoa(port) }

// path is a file of the data folder.
func (c Config) path(name string) string { return filepath.Join(c.Dir, name) }

// SecretFile is the path of a secret: one of those that Prepare makes, or another that the caller keeps beside them.
func (c Config) SecretFile(name string) string { return filepath.Join(c.Dir, "secrets", name) }

// The databases.
func (c Config) idpDatabase() string  { return cmp.Or(c.Databases.IDP, "sqlite:"+c.path("idp.db")) }
func (c Config) caseDatabase() string { return cmp.Or(c.Databases.Cases, "sqlite:"+c.path("cases.db")) }

// DataSources are the data source names of the databases, wherever they are.
func (c Config) DataSources() Databases {
	return Databases{IDP: c.idpDatabase(), Cases: c.caseDatabase()}
}

// Checkpoints is the file of signed checkpoints. Each replica has its own, as if it was on a machine of its own: each is a
// witness by itself.
func (c Config) Checkpoints() string {
	if c.replica > 1 {
		return c.path("checkpoints-" + strconv.Itoa(c.replica))
	}
	return c.path("checkpoints")
}

// IDPSpec starts the identity provider.
func (c Config) IDPSpec() Spec {
	return c.spec(IDP, c.Binaries.IDP, c.listens().IDP, c.listens().IDPPrivate, "serve",
		"--issuer", c.Issuer(),
		"--smtp-url", c.smtpURL(), "--mail-from", mailFrom,
		"--kek-file", c.SecretFile(kek), "--pepper-file", c.SecretFile(pepper), "--checkpoint-file", c.Checkpoints())
}

// CaseAPISpec starts the case API.
func (c Config) CaseAPISpec() Spec {
	return c.spec(CaseService, c.Binaries.CaseService, c.listens().CaseAPI, c.listens().CaseAPIPrivate, "serve",
		"--issuer", c.Issuer(), "--audience", c.CaseAPI(), "--code-key-file", c.SecretFile(codeKey),
		"--client-id", CaseAPIClient, "--client-secret-file", c.SecretFile(CaseAPIClient))
}

// PortalSpec starts the portal as a client whose secret is in the file SecretFile(clientID).
func (c Config) PortalSpec(clientID string) Spec {
	return c.spec(Portal, c.Binaries.CaseService, c.listens().Portal, c.listens().PortalPrivate, "portal",
		"--issuer", c.Issuer(), "--api", c.CaseAPI(), "--public-url", c.Portal(),
		"--client-id", clientID, "--client-secret-file", c.SecretFile(clientID))
}

func (c Config) spec(name, path string, public, private int, args ...string) Spec {
	args = append(args, "--listen", Loopback(public), "--private-listen", Loopback(private))
	s := Spec{Name: name, Path: path, At: Loopback(public), Args: append(args, c.Flags[name]...), Env: slices.Concat(c.stores(name), c.Env[name]), Ready: base("127.0.0.1", private) + "/readyz"}
	if c.replica > 0 {
		s.Name += "-" + strconv.Itoa(c.replica)
	}
	return s
}

// stores are the variables that say where a service keeps its data: the list of processes would show passwords to everybody.
func (c Config) stores(name string) (env []string) {
	switch name {
	case IDP:
		env = append(env, "IDP_DATABASE="+c.idpDatabase())
		if c.Redis != "" {
			env = append(env, "IDP_REDIS="+c.Redis)
		}
		if c.replica > 0 {
			env = append(env, "IDP_TRUSTED_PROXIES="+loopback)
		}
	case CaseService:
		env = append(env, "CASESERVICE_DATABASE="+c.caseDatabase())
	case Portal:
		if c.Redis != "" {
			env = append(env, "CASESERVICE_REDIS="+c.Redis, "CASESERVICE_SESSION_KEY_FILE="+c.SecretFile(session))
		}
		if c.replica > 0 {
			env = append(env, "CASESERVICE_TRUSTED_PROXIES="+loopback)
		}
	}
	return env
}

// CommandEnv are the variables with which the commands of both services find their data, so that a shell that has them
// needs no flags.
func (c Config) CommandEnv() []string {
	return []string{
		"IDP_DATABASE=" + c.idpDatabase(), "IDP_ISSUER=" + c.Issuer(), "IDP_CHECKPOINT_FILE=" + c.Checkpoints(),
		"IDP_KEK_FILE=" + c.SecretFile(kek), "IDP_PEPPER_FILE=" + c.SecretFile(pepper), "IDP_SMTP_URL=" + c.smtpURL(), "IDP_MAIL_FROM=" + mailFrom,
		"IDP_URL=" + c.Admin(), // what `idp healthcheck` asks
		"CASESERVICE_DATABASE=" + c.caseDatabase(), "CASESERVICE_ISSUER=" + c.Issuer(), "CASESERVICE_AUDIENCE=" + c.CaseAPI(),
		"CASESERVICE_CODE_KEY_FILE=" + c.SecretFile(codeKey), "CASESERVICE_CLIENT_ID=" + CaseAPIClient, "CASESERVICE_CLIENT_SECRET_FILE=" + c.SecretFile(CaseAPIClient), "CASESERVICE_URL=" + base("127.0.0.1", c.Ports.CaseAPIPrivate),
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
