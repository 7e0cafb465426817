package redisdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/store/redisstore/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

func read(t *testing.T, args ...string) (redisdb.Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	redisdb.Flags(fs, "T", "volatile data")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return redisdb.Read(fs, "T")
}

func TestRead_SaysWhatIsWrongAndNeverThePassword(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "redis://h", "redis://:secret@h:1/3", "rediss://user:secret@h", "redis+sentinel://h1,h2:1/main", "redis+sentinel://user:secret@h1,[::1]:5/main/2",
		"rediss+cluster://user:secret@h1:1,h2:2", "redis+cluster://h1",
	} {
		if _, err := read(t, "--redis", text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"h:1", "http://h", "redis://a:secret@h:port", "redis://a:secret@h1,h2", "redis://a:secret@h/x", "redis://a:secret@h?skip_verify=true", "redis://", "redis+cluster://h/1",
		"redis+sentinel://h", "redis+sentinel://a:secret@h1,,h2/main", "redis+sentinel://a:secret@h/main/x", "redis://a:%zzsecret@h",
	} {
		_, err := read(t, "--redis", text)
		var wrong *config.Error
		if !errors.As(err, &wrong) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for args, where := range map[string]string{
		"--redis=redis://h --redis-ca-file=x": "--redis-ca-file", "--redis=rediss://h --redis-ca-file=/nowhere": "--redis-ca-file",
		"--redis=redis://h --redis-password-file=/nowhere": "--redis-password-file",
	} {
		_, err := read(t, strings.Fields(args)...)
		var wrong *config.Error
		if !errors.As(err, &wrong) || wrong.Where != where {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestRedacted_HidesThePassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "redis://h:1/2": "redis://h:1/2", "redis+cluster://u:secret@h1,h2": "redis+cluster://u:xxxxx@h1,h2", "rediss://:secret@h": "rediss://:xxxxx@h", "redis://u@h": "redis://u@h",
		"redis://u:sec@ret@h": "redis://u:xxxxx@h", "u:secret@h": "u:xxxxx@h", "redis:u:secret@h": "redis:xxxxx@h", "u:sec://ret@h": "u:xxxxx@h", "http://u:secret@h": "http:xxxxx@h",
	} {
		if got := redisdb.Redacted(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func open(t *testing.T, c redisdb.Config) (*redisdb.DB, *bytes.Buffer, error) {
	t.Helper()
	var log bytes.Buffer
	d, err := redisdb.Open(t.Context(), c, slog.New(slog.NewTextHandler(&log, nil)))
	if d != nil {
		t.Cleanup(func() { _ = d.Close() })
	}
	return d, &log, err
}

func TestOpen_RefusesAServerThatForgets(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-random"} {
		s := redistest.Own(t, "--maxmemory-policy", policy)
		var wrong *config.Error
		if _, _, err := open(t, redisdb.Config{URL: s.URL()}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), policy) {
			t.Errorf("%s: %v", policy, err)
		}
	}
}

// An access list may forbid CONFIG; what INFO says will do. Who may ask neither is told what to allow.
func TestOpen_WithAnAccessListAsksAnotherWay(t *testing.T) {
	t.Parallel()
	s := redistest.Own(t)
	must := func(args ...any) {
		t.Helper()
		if _, err := s.Do(args...); err != nil {
			t.Fatal(err)
		}
	}
	must("ACL", "SETUSER", "ellis", "on", ">secret", "~idp:*", "+@read", "+@write", "+@scripting", "+@connection", "+info", "-@dangerous", "+info")
	must("ACL", "SETUSER", "blind", "on", ">secret", "~idp:*", "+@connection")
	if _, _, err := open(t, redisdb.Config{URL: "redis://ellis@" + s.Addr(), Password: "secret"}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]redisdb.Config{
		"neither":        {URL: "redis://blind:secret@" + s.Addr()},
		"wrong password": {URL: "redis://ellis:other@" + s.Addr()},
		"wrong database": {URL: s.URL() + "/99"},
	} {
		var wrong *config.Error
		if _, _, err := open(t, c); !errors.As(err, &wrong) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
	if _, _, err := open(t, redisdb.Config{URL: "redis://ellis@" + s.Addr(), Password: "secret"}); err == nil {
		t.Error("INFO was not asked")
	}
}

func TestCheck_SeesAServerThatWasReplaced(t *testing.T) {
	t.Parallel()
	s := redistest.Own(t)
	d, log, err := open(t, redisdb.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	look := func(want string) {
		t.Helper()
		for range 2 {
			if err := d.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.Problem(t.Context()); want == "" && got != "" || !strings.Contains(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	look("")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := d.Problem(t.Context()); got == "" {
		t.Fatal("a dead server is well until the next check")
	}
	look("does not answer")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	look("")
	if _, err := s.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"); err != nil {
		t.Fatal(err)
	}
	look("allkeys-lru")
	if _, err := s.Do("CONFIG", "SET", "maxmemory-policy", "noeviction"); err != nil {
		t.Fatal(err)
	}
	look("")
	if n := strings.Count(log.String(), "not well"); n != 2 {
		t.Errorf("%d lines of trouble, want one each: %s", n, log)
	}
}

func TestOpen_AServerThatIsDownIsNoMistake(t *testing.T) {
	t.Parallel()
	s := redistest.Own(t)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	d, log, err := open(t, redisdb.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if d.Problem(t.Context()) == "" || !strings.Contains(log.String(), "does not answer") {
		t.Error("nobody was told")
	}
	if f := redisdb.Fault(d.Ping(t.Context()).Err()); !fault.Is(f, fault.Unavailable) || fault.Of(f).RetryAfter == 0 {
		t.Error(f)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context()); err != nil || d.Problem(t.Context()) != "" {
		t.Error(err, d.Problem(t.Context()))
	}
}

func TestOpen_ChecksWhoSignedTheServersCertificate(t *testing.T) {
	t.Parallel()
	ca, other := redistest.NewCA(t), redistest.NewCA(t)
	dir := t.TempDir()
	cert, key := ca.Server(t, dir)
	port := redistest.Port(t)
	redistest.Own(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File(t, dir), "--tls-auth-clients", "no")
	url := fmt.Sprintf("rediss://127.0.0.1:%d", port)
	d, log, err := open(t, redisdb.Config{URL: url, CAFile: ca.File(t, dir)})
	if err != nil || d.Problem(t.Context()) != "" {
		t.Fatal(err, log)
	}
	for name, file := range map[string]string{"another authority": other.File(t, t.TempDir()), "the system's": ""} {
		d, _, err := open(t, redisdb.Config{URL: url, CAFile: file})
		if err != nil {
			t.Fatal(name, err)
		}
		if d.Problem(t.Context()) == "" || d.Ping(t.Context()).Err() == nil {
			t.Error(name, "spoke with a server that it cannot know")
		}
	}
}
