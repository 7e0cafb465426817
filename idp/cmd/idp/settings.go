package main

import (
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/lines"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/telemetry"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/web"
)

const envPrefix = "IDP"

// settings are what the provider is told from outside.
type settings struct {
	issuer     *url.URL
	database   string
	listen     string
	private    string
	relay      *notify.Relay
	kek        [][]byte // the first one seals
	signer     keyring.External
	pepper     []byte
	checkpoint string // file of signed checkpoints; empty: none are kept
	export     string // file that the audit is exported to; empty: none
	name       string
	contact    string
	proxies    []netip.Prefix
	drain      time.Duration
	notice     time.Duration // before the drain
	migrate    bool
	limits     throttle.Limits
	// connections is how many may be open; 0: as many as is usual.
	connections int
	redis       redisdb.Config
	traces      telemetry.Config

	hashing factor.Params
	clock   clock.Clock
	log     *slog.Logger
	lines   *lines.Writer // where log writes
}

// databaseFlags are those of every command that opens the database.
func databaseFlags(f *pflag.FlagSet) {
	f.String("database", "", "where everything lasting is kept: sqlite:PATH, or postgres://USER@HOST/NAME")
}

// keyFlags are those of every command that opens sealed secrets.
func keyFlags(f *pflag.FlagSet) {
	config.SecretFlag(f, envPrefix, "kek", "key-encryption keys, 32 random bytes each, one a line: the first seals signing keys, TOTP seeds and mail, the others open what older ones sealed")
	signerFlags(f)
}

func pepperFlag(f *pflag.FlagSet) {
	config.SecretFlag(f, envPrefix, "pepper", "pepper of password hashes, 32 random bytes")
}

func checkpointFlag(f *pflag.FlagSet) {
	f.String("checkpoint-file", "", "file outside the database that signed audit checkpoints are appended to")
}

func issuerFlag(f *pflag.FlagSet) {
	f.String("issuer", "", "issuer identifier, the URL that people and apps reach: https://id.example.org")
}

func serveFlags(f *pflag.FlagSet) {
	databaseFlags(f)
	keyFlags(f)
	pepperFlag(f)
	issuerFlag(f)
	checkpointFlag(f)
	f.String("audit-export", "", "file outside the database that every audit event is appended to: after a restore it tells what was lost")
	f.String("listen", "127.0.0.1:8080", "address of the public listener")
	f.String("private-listen", "127.0.0.1:9080", "address of the private listener: /healthz /readyz /metrics")
	f.String("smtp-url", "", "mail relay: smtp://[user:password@]host:port (STARTTLS, except on loopback) or smtps://…")
	f.String("mail-from", "", `sender of mail: Ellis <no-reply@example.org>`)
	f.String("name", "Ellis", "what the provider calls itself on pages, in mail and in authenticator apps")
	f.String("contact", "", "e-mail address or URL for people who need help")
	f.StringSlice("trusted-proxies", nil, "networks of reverse proxies whose X-Forwarded-For is believed: 10.0.0.0/8")
	f.Duration("drain", 10*time.Second, "how long requests that are under way may take at the end")
	f.Duration("drain-delay", 500*time.Millisecond, "how long requests are taken on at the end, while /readyz says 503: longer than a load balancer needs to see it")
	limitFlags(f)
	loadFlags(f)
	telemetry.Flags(f, envPrefix)
	redisdb.Flags(f, envPrefix, "where replicas share what may be lost (sign-ins under way, codes, rates); in this process, if it is empty")
	f.Bool("auto-migrate", true, "bring an older or empty database up to date before serving")
}

func str(cmd *cobra.Command, name string) string {
	f := cmd.Flags().Lookup(name)
	if f == nil {
		return ""
	}
	return f.Value.String()
}

func need(cmd *cobra.Command, name, example string) (string, error) {
	if v := str(cmd, name); v != "" {
		return v, nil
	}
	return "", &config.Error{Where: "--" + name, Problem: "it is required, for example " + example}
}

// readSettings reads what serve needs. Errors: *config.Error.
func readSettings(cmd *cobra.Command) (s settings, err error) {
	s = settings{
		listen: str(cmd, "listen"), private: str(cmd, "private-listen"), checkpoint: str(cmd, "checkpoint-file"), export: str(cmd, "audit-export"),
		name: str(cmd, "name"), contact: str(cmd, "contact"), hashing: factor.DefaultParams, clock: clock.System{},
	}
	if s.log, s.lines, err = logger(cmd); err != nil {
		return s, err
	}
	if s.issuer, err = readIssuer(cmd); err != nil {
		return s, err
	}
	if s.database, err = need(cmd, "database", "sqlite:/var/lib/idp/idp.db"); err != nil {
		return s, err
	}
	if s.kek, err = readKEKs(cmd); err != nil {
		return s, err
	}
	if s.signer, err = readSigner(cmd); err != nil {
		return s, err
	}
	if s.pepper, err = config.Key(cmd.Flags(), envPrefix, "pepper"); err != nil {
		return s, err
	}
	if s.relay, err = readRelay(cmd); err != nil {
		return s, err
	}
	if s.proxies, err = config.Networks(cmd.Flags(), "trusted-proxies"); err != nil {
		return s, err
	}
	return s, s.readRunning(cmd)
}

// readRunning reads how the provider runs. Errors: *config.Error.
func (s *settings) readRunning(cmd *cobra.Command) (err error) {
	if s.drain, err = cmd.Flags().GetDuration("drain"); err != nil {
		return err
	}
	if s.notice, err = cmd.Flags().GetDuration("drain-delay"); err != nil {
		return err
	}
	if s.limits, err = readLimits(cmd); err != nil {
		return err
	}
	if s.connections, err = readConnections(cmd); err != nil {
		return err
	}
	if s.redis, err = redisdb.Read(cmd.Flags(), envPrefix); err != nil {
		return err
	}
	if s.traces, err = telemetry.Read(cmd.Flags(), envPrefix); err != nil {
		return err
	}
	s.migrate, err = cmd.Flags().GetBool("auto-migrate")
	return err
}

// readIssuer reads the issuer identifier: https, or http on loopback; no query, no fragment, no path (OpenID Connect
// Discovery §3 allows one; cookies and the well-known paths are simpler to reason about without).
func readIssuer(cmd *cobra.Command) (*url.URL, error) {
	text, err := need(cmd, "issuer", "https://id.example.org")
	if err != nil {
		return nil, err
	}
	wrong := func(why string) error { return &config.Error{Where: "--issuer", Problem: why} }
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, wrong("write it as a URL with a scheme and a host alone, such as https://id.example.org")
	case u.Path != "" && u.Path != "/":
		return nil, wrong("write it without a path")
	case u.Host != strings.ToLower(u.Host):
		return nil, wrong("write the host in lower case: clients compare it byte by byte")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, wrong("use https; plain http is for loopback alone")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, wrong("use https")
	}
	u.Path = ""
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func readRelay(cmd *cobra.Command) (*notify.Relay, error) {
	u, err := need(cmd, "smtp-url", "smtp://127.0.0.1:25")
	if err != nil {
		return nil, err
	}
	from, err := need(cmd, "mail-from", "'Ellis <no-reply@example.org>'")
	if err != nil {
		return nil, err
	}
	r, err := notify.NewRelay(u, from)
	if err != nil {
		return nil, &config.Error{Where: "--smtp-url, --mail-from", Problem: explain(err)}
	}
	return r, nil
}

// logger writes to standard error, by way of lines. Errors: *config.Error.
func logger(cmd *cobra.Command) (*slog.Logger, *lines.Writer, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(str(cmd, "log-level"))); err != nil {
		return nil, nil, &config.Error{Where: "--log-level", Problem: "choose debug, info, warn or error"}
	}
	w, opt := lines.New(cmd.ErrOrStderr()), &slog.HandlerOptions{Level: l}
	var h slog.Handler
	switch str(cmd, "log-format") {
	case "json":
		h = slog.NewJSONHandler(w, opt)
	case "text":
		h = slog.NewTextHandler(w, opt)
	default:
		return nil, nil, &config.Error{Where: "--log-format", Problem: "choose json or text"}
	}
	return slog.New(telemetry.Logs(w.Handler(h), web.RequestID)), w, nil
}
