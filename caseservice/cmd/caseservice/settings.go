package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/telemetry"
)

// settings are those of the API and its commands. One list serves them all, so that one file can.
type settings struct {
	issuer, audience, listen, privateListen string
	database                                string
	checkpoints, export                     string // files outside the database; empty: not kept
	logLevel, logFormat                     string
	clientID                                string
	drain, notice, patience                 time.Duration
	connections                             int // that may be open
	traces                                  telemetry.Config
}

// codeKey is the name of the secret under which claim codes are kept.
const codeKey = "code-key"

// flags adds every setting to fs and hides those that the command does not use.
func (s *settings) flags(fs *pflag.FlagSet, used ...string) {
	fs.StringVar(&s.issuer, "issuer", "", "issuer of the access tokens, e.g. https://id.example")
	fs.StringVar(&s.audience, "audience", "", "identifier of this API, and the URL at which it is reached")
	fs.StringVar(&s.clientID, "client-id", "", "client_id of this API at the issuer, as its registration there names it")
	config.SecretFlag(fs, prefix, clientSecret, "client secret of this API at the issuer")
	fs.DurationVar(&s.patience, "feed-patience", feed.DefaultPatience, "how long the issuer may say nothing of revocations before it is asked about each token")
	fs.StringVar(&s.listen, "listen", "127.0.0.1:8081", "address of the API")
	fs.StringVar(&s.privateListen, "private-listen", "127.0.0.1:9081", "address of /healthz, /readyz and /metrics")
	fs.StringVar(&s.database, "database", "sqlite:caseservice.db", "where everything lasting is kept: sqlite:PATH, or postgres://USER@HOST/NAME")
	fs.StringVar(&s.checkpoints, "checkpoint-file", "", "file outside the database that signed checkpoints of the ledger are appended to, one for each replica")
	fs.StringVar(&s.export, "ledger-export", "", "file outside the database that every entry of the ledger is appended to: after a restore it tells what was lost")
	config.SecretFlag(fs, prefix, codeKey, "32 bytes in base64 or hexadecimal: the key of claim codes and cursors")
	fs.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&s.logFormat, "log-format", "json", "json or text")
	fs.DurationVar(&s.drain, "drain", 10*time.Second, "how long requests may take to finish at the end")
	drainDelayFlag(fs, &s.notice)
	connectionsSetting(fs, &s.connections)
	telemetry.Flags(fs, prefix)
	fs.VisitAll(func(f *pflag.Flag) { f.Hidden = f.Hidden || !slices.Contains(used, f.Name) })
}

// drainDelayFlag adds the setting of how long a listener stays open at the end.
func drainDelayFlag(fs *pflag.FlagSet, to *time.Duration) {
	fs.DurationVar(to, "drain-delay", 500*time.Millisecond, "how long requests are taken on at the end, while /readyz says 503: longer than a load balancer needs to see it")
}

// serveSettings names the settings of serve.
var serveSettings = []string{
	"issuer", "audience", "client-id", clientSecret + "-file", "feed-patience", "listen", "private-listen", "database", "checkpoint-file", "ledger-export", codeKey + "-file",
	"log-level", "log-format", "drain", "drain-delay", connectionsFlag, "otlp-endpoint", "trace-ratio", "trace-key-file",
}

// check says what is wrong with the settings of serve. Errors: *config.Error.
func (s *settings) check() error {
	for flag, text := range map[string]string{"issuer": s.issuer, "audience": s.audience} {
		if err := checkIdentifier(text); err != nil {
			return &config.Error{Where: "--" + flag, Problem: err.Error()}
		}
	}
	if s.clientID == "" {
		return &config.Error{Where: "--client-id", Problem: "it is required: as this client the API asks the issuer what was revoked"}
	}
	if s.patience < feed.MinPatience || s.patience > feed.MaxPatience {
		return &config.Error{Where: "--feed-patience", Problem: fmt.Sprintf("a time from %v to %v", feed.MinPatience, feed.MaxPatience)}
	}
	if s.drain <= 0 {
		return &config.Error{Where: "--drain", Problem: "a time above zero, like 10s"}
	}
	if err := checkConnections(s.connections); err != nil {
		return err
	}
	if _, err := s.level(); err != nil {
		return err
	}
	if s.logFormat != "json" && s.logFormat != "text" {
		return &config.Error{Where: "--log-format", Problem: "json or text"}
	}
	return s.checkDatabase()
}

// checkIdentifier demands a URL in the one form in which it can be compared byte for byte.
func checkIdentifier(text string) error {
	if text == "" {
		return fmt.Errorf("it is required")
	}
	if err := issuer.CheckURL(text); err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.String() != text || u.RawQuery != "" || u.ForceQuery {
		return fmt.Errorf("%q is not a plain URL without a query", text)
	}
	return nil
}

func (s *settings) checkDatabase() error {
	scheme, rest, _ := strings.Cut(s.database, ":")
	switch scheme {
	case "sqlite":
		if rest != "" && !strings.ContainsAny(rest, "?#") {
			return nil
		}
	case "postgres", "postgresql":
		if _, err := url.Parse(s.database); err == nil && strings.HasPrefix(rest, "//") {
			return nil
		}
	}
	// What was written is not shown: it may hold a password.
	return &config.Error{Where: "--database", Problem: "write it as sqlite:PATH, or as postgres://USER@HOST/NAME"}
}

func (s *settings) level() (l slog.Level, err error) {
	if err := l.UnmarshalText([]byte(s.logLevel)); err != nil {
		return l, &config.Error{Where: "--log-level", Problem: "debug, info, warn or error"}
	}
	return l, nil
}
