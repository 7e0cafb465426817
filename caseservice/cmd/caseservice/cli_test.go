package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCLI_ExitStatuses(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.ok(nil, "migrate", "up")
	db := []string{"--database", o.database}
	good := []string{
		"--issuer", "http://localhost:8080", "--audience", "http://localhost:8081", "--client-id", "case-api",
		"--code-key-file", o.key, "--client-secret-file", o.write("client", "secret\n"),
	}
	portal := []string{"portal", "--issuer", "http://localhost:8080", "--api", "http://localhost:8081", "--public-url", "http://localhost:8082", "--client-id", "portal"}
	args := func(parts ...any) (out []string) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				out = append(out, p)
			case []string:
				out = append(out, p...)
			}
		}
		return out
	}
	for _, tc := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"help", args("--help"), exitOK, ""},
		{"nothing", nil, exitOK, ""},
		{"version", args("version", "--json"), exitOK, ""},
		{"unknown command", args("serv"), exitUsage, "unknown command"},
		{"group alone", args("ledger"), exitUsage, "takes one of its own"},
		{"unknown command of a group", args("case", "imprt"), exitUsage, "imprt"},
		{"unknown flag", args("migrate", "up", "--colour"), exitUsage, "unknown flag"},
		{"missing argument", args("case", "import"), exitUsage, "arg"},
		{"argument too many", args("ledger", "verify", "x"), exitUsage, "x"},
		{"value of a wrong kind", args("ledger", "tail", "-n", "many", db), exitUsage, "many"},
		{"fewer than none", args("ledger", "tail", "-n", "-1", db), exitUsage, "--lines"},
		{"no settings", args("serve"), exitConfig, "it is required"},
		{"no issuer", args("serve", "--audience", "http://localhost:8081"), exitConfig, "--issuer"},
		{"issuer without TLS", args("config", "check", good, "--issuer", "http://id.example"), exitConfig, "--issuer"},
		{"issuer with a query", args("config", "check", good, "--issuer", "https://id.example?x"), exitConfig, "--issuer"},
		{"issuer in another form", args("config", "check", good, "--issuer", "HTTPS://id.example"), exitConfig, "--issuer"},
		{"audience is no URL", args("config", "check", good, "--audience", "cases"), exitConfig, "--audience"},
		{"no time to drain", args("config", "check", good, "--drain", "0s"), exitConfig, "--drain"},
		{"log level", args("config", "check", good, "--log-level", "loud"), exitConfig, "--log-level"},
		{"log format", args("config", "check", good, "--log-format", "xml"), exitConfig, "--log-format"},
		{"database", args("config", "check", good, "--database", "oracle:x"), exitConfig, "--database"},
		{"database without a path", args("migrate", "up", "--database", "sqlite:"), exitConfig, "--database"},
		{"no client", args("config", "check", good[:4], good[6:]), exitConfig, "--client-id"},
		{"no client secret", args("config", "check", good[:8]), exitConfig, "CASESERVICE_CLIENT_SECRET"},
		{"empty client secret", args("config", "check", good, "--client-secret-file", o.write("none", "\n")), exitConfig, "empty"},
		{"no patience", args("config", "check", good, "--feed-patience", "1s"), exitConfig, "--feed-patience"},
		{"too much patience", args("config", "check", good, "--feed-patience", "1h"), exitConfig, "--feed-patience"},
		{"no key", args("config", "check", good[:6]), exitConfig, "CASESERVICE_CODE_KEY"},
		{"key file missing", args("config", "check", good, "--code-key-file", "/nonexistent"), exitConfig, "--code-key-file"},
		{"short key", args("config", "check", good, "--code-key-file", o.write("short", "abcd")), exitConfig, "32 random bytes"},
		{"empty key", args("config", "check", good, "--code-key-file", o.write("empty", "\n")), exitConfig, "empty"},
		{"good settings", args("config", "check", good), exitOK, ""},
		{"portal alone", args("portal"), exitConfig, "--issuer"},
		{"portal with a path", args(portal, "--public-url", "http://localhost:8082/x"), exitConfig, "--public-url"},
		{"portal with a slash", args(portal, "--public-url", "http://localhost:8082/"), exitConfig, "--public-url"},
		{"portal without a secret", args(portal), exitConfig, "CASESERVICE_CLIENT_SECRET"},
		{"portal without sessions", args(portal, "--max-sessions", "0"), exitConfig, "--max-sessions"},
		{"settings file missing", args("config", "check", "--config", "/nonexistent.yaml"), exitConfig, "/nonexistent.yaml"},
		{"subject missing", args("case", "assign", "IOE0000000001", db), exitConfig, "--sub"},
		{"subject with a space", args("case", "assign", "IOE0000000001", "--sub", "a b", db), exitConfig, "--sub"},
		{"neither receipt nor case", args("case", "assign", "x", "--sub", "s", db), exitFailed, "neither"},
		{"no such case", args("case", "assign", "IOE0000000001", "--sub", "s", db), exitFailed, "no such case"},
		{"no database", args("ledger", "verify", "--database", "sqlite:"+filepath.Join(o.dir, "none.db")), exitFailed, "there is no such database"},
		{"no file to import", args("case", "import", "/nonexistent", db), exitFailed, "/nonexistent"},
		{"health of nobody", args("healthcheck", "--url", "http://127.0.0.1:1"), exitFailed, "127.0.0.1:1"},
		{"health of no URL", args("healthcheck", "--url", "localhost"), exitConfig, "--url"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := o.run(tc.args...)
			if r.status != tc.want || !strings.Contains(r.err, tc.says) {
				t.Errorf("status %d, want %d: %s", r.status, tc.want, r.err)
			}
			if (r.status == exitUsage) != strings.Contains(r.err, "Try --help.") {
				t.Errorf("%s", r.err)
			}
			if r.status != exitOK && r.out != "" {
				t.Errorf("an error on standard output: %s", r.out)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(o.dir, "none.db")); err == nil {
		t.Error("a command that reads made a database")
	}
}

func TestConfig_EachErrorNamesItsPlace(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	file := func(text string) string {
		return o.write(fmt.Sprintf("%d.yaml", len(text)), text)
	}
	const head = "# the API\nissuer: http://localhost:8080\naudience: http://localhost:8081\nclient-id: case-api\n"
	for _, tc := range []struct {
		name string
		env  []string
		yaml string
		says string
	}{
		{"variable of a wrong kind", []string{"CASESERVICE_DRAIN=soon"}, "", "CASESERVICE_DRAIN"},
		{"unknown key", nil, head + "audiance: x\n", ":5: unknown setting \"audiance\""},
		{"key that was nearly meant", nil, head + "private_listen: x\n", "did you mean private-listen"},
		{"key twice", nil, head + "issuer: http://localhost:8080\n", ":5: \"issuer\" is there twice"},
		{"value of a wrong kind", nil, head + "\ndrain: soon\n", ":6: "},
		{"list for a text", nil, head + "listen: {a: b}\n", ":5: listen: write one value"},
		{"no mapping", nil, "- a\n", ":1: "},
		{"no YAML", nil, "a: [\n", ".yaml"},
		{"secret in the file", nil, head + "code-key: abc\n", ":5: unknown setting \"code-key\""},
		{"wrong key in the environment", []string{"CASESERVICE_CODE_KEY=abc"}, head, "--code-key-file"},
	} {
		args := []string{"config", "check"}
		if tc.yaml != "" {
			args = append(args, "--config", file(tc.yaml))
		}
		r := o.shell(tc.env, args...)
		if r.status != exitConfig || !strings.Contains(r.err, tc.says) {
			t.Errorf("%s: %d %s", tc.name, r.status, r.err)
		}
		if strings.Contains(r.err, "abc\n") {
			t.Errorf("%s: the secret is in %s", tc.name, r.err)
		}
	}
}

func TestConfig_FlagBeforeEnvironmentBeforeFile(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	yaml := o.write("s.yaml", "issuer: https://file.example\naudience: https://file.example\nlog-level: warn\nlisten: 127.0.0.1:1\nclient-id: case-api\n")
	env := []string{"CASESERVICE_AUDIENCE=https://env.example", "CASESERVICE_LOG_LEVEL=error", "CASESERVICE_CONFIG=" + yaml, "CASESERVICE_CODE_KEY=" + strings.Repeat("cd", 32), "CASESERVICE_CLIENT_SECRET=cdcdcd"}
	r := o.shell(env, "config", "show", "--json", "--log-level", "debug")
	var got map[string]string
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.status != exitOK {
		t.Fatalf("%d %s", r.status, r.err)
	}
	for name, want := range map[string]string{
		"issuer": "https://file.example", "audience": "https://env.example", "log-level": "debug", "listen": "127.0.0.1:1", "private-listen": "127.0.0.1:9081",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if strings.Contains(r.out, "cdcdcd") {
		t.Error("the key is printed")
	}
	shown := o.shell(env, "config", "show") // what it prints is what --config takes
	if r := o.shell(env[3:], "config", "check", "--config", o.write("again.yaml", shown.out)); r.status != exitOK {
		t.Errorf("%d %s\n%s", r.status, r.err, shown.out)
	}
}

func TestMigrate_UpStatusAndNewer(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	var up struct{ Before, Current, Known int64 }
	o.ok(&up, "migrate", "up")
	if up.Before != 0 || up.Current == 0 || up.Current != up.Known {
		t.Errorf("%+v", up)
	}
	o.ok(&up, "migrate", "up")
	if up.Before != up.Current {
		t.Errorf("again: %+v", up)
	}
	var st struct{ Current, Known int64 }
	o.ok(&st, "migrate", "status")
	if st.Current != up.Current || st.Known != up.Known {
		t.Errorf("%+v", st)
	}
	if r := o.run("migrate", "status", "--database", o.database); !strings.Contains(r.out, fmt.Sprintf("schema %d; this release knows %d", st.Current, st.Known)) {
		t.Error(r.out)
	}
	o.sql("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	for _, args := range [][]string{
		{"migrate", "up"}, {"migrate", "status"}, {"ledger", "verify"}, {"ledger", "tail"}, {"case", "assign", "IOE0000000001", "--sub", "s"},
		{"serve", "--issuer", "http://localhost:8080", "--audience", "http://localhost:8081", "--code-key-file", o.key, "--client-id", "case-api",
			"--client-secret-file", o.key, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"},
	} {
		r := o.run(append(args, "--database", o.database)...)
		if r.status != exitFailed || !strings.Contains(r.err, "99") || !strings.Contains(r.err, "run the newer release") {
			t.Errorf("%v: %d %s", args, r.status, r.err)
		}
	}
}
