package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cli is one operator with one database.
type cli struct {
	t      *testing.T
	dir    string
	common []string
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	c := &cli{t: t, dir: t.TempDir()}
	c.common = []string{"--database", "sqlite:" + filepath.Join(c.dir, "idp.db")}
	c.write("kek", strings.Repeat("ab", 32))
	c.write("pepper", strings.Repeat("cd", 32))
	c.write("password", "violet kettle marches north\n")
	return c
}

func (c *cli) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// run carries out a command line as the shell would, and returns what it printed and its status.
func (c *cli) run(args ...string) (stdout, stderr string, status int) {
	c.t.Helper()
	var out, errs bytes.Buffer
	status = run(c.t.Context(), args, &out, &errs)
	return out.String(), errs.String(), status
}

// ok runs a command that must succeed and decodes the JSON that it prints.
func (c *cli) ok(into any, args ...string) {
	c.t.Helper()
	out, errs, status := c.run(append(args, append(c.common, "--json")...)...)
	if status != exitOK {
		c.t.Fatalf("%v: status %d: %s", args, status, errs)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(out), into); err != nil {
			c.t.Fatalf("%v: %v in %s", args, err, out)
		}
	}
}

func (c *cli) kek() []string    { return []string{"--kek-file", filepath.Join(c.dir, "kek")} }
func (c *cli) pepper() []string { return []string{"--pepper-file", filepath.Join(c.dir, "pepper")} }

const registry = `
apis:
  - id: cases
    audience: http://localhost:8081
    name: {en: Case status, es: Estado del caso}
    scopes: [{name: "cases:read", en: See your cases, es: Ver sus casos}]
clients:
  - client_id: web
    client_name: Web
    redirect_uris: [https://app.example.org/cb]
    grant_types: [authorization_code]
    scope: openid cases:read
    apis: [cases]
    token_endpoint_auth_method: client_secret_basic
`

func TestCLI_ExitStatuses(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	for _, tc := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"help", []string{"--help"}, exitOK, ""},
		{"unknown command", []string{"serv"}, exitUsage, "unknown command"},
		{"unknown command of a group", []string{"keys", "lits"}, exitUsage, "keys"},
		{"group alone", []string{"keys"}, exitUsage, "list"},
		{"unknown flag", []string{"keys", "list", "--color"}, exitUsage, "unknown flag"},
		{"missing argument", []string{"user", "show"}, exitUsage, "arg"},
		{"missing input", []string{"apply"}, exitUsage, "-f"},
		{"no database", []string{"keys", "list"}, exitConfig, "--database"},
		{"wrong database", []string{"keys", "list", "--database", "oracle:x"}, exitFailed, "sqlite:PATH"},
		{"no key", append([]string{"apply", "-f", c.write("r.yaml", registry)}, c.common...), exitConfig, "IDP_KEK"},
		{"no such client", append([]string{"client", "show", "nobody"}, c.common...), exitFailed, "no such client"},
		{"issuer with a path", []string{"config", "check", "--issuer", "https://x.example/path"}, exitConfig, "--issuer"},
		{"issuer by http", []string{"config", "check", "--issuer", "http://x.example"}, exitConfig, "--issuer"},
		{"issuer with userinfo", []string{"config", "check", "--issuer", "http://localhost:80@x.example"}, exitConfig, "--issuer"},
		{"reason missing", append([]string{"user", "disable", "x"}, c.common...), exitUsage, "--reason"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, errs, status := c.run(tc.args...)
			if status != tc.want || !strings.Contains(errs, tc.says) {
				t.Errorf("status %d, want %d: %s", status, tc.want, errs)
			}
		})
	}
}

func TestCLI_OlderAndNewerSchemasAreRefused(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	if _, errs, status := c.run(append([]string{"keys", "list"}, c.common...)...); status != exitFailed || !strings.Contains(errs, "no such database file") {
		t.Errorf("none: %d %s", status, errs)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "idp.db")); err == nil {
		t.Error("a mistyped path made a database")
	}
	c.write("idp.db", "")
	if _, errs, status := c.run(append([]string{"keys", "list"}, c.common...)...); status != exitFailed || !strings.Contains(errs, "migrate up") {
		t.Errorf("older: %d %s", status, errs)
	}
	c.ok(nil, "migrate", "up")
	alter(t, c, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	for _, args := range [][]string{{"keys", "list"}, {"migrate", "up"}, {"migrate", "status"}} {
		if _, errs, status := c.run(append(args, c.common...)...); status != exitFailed || !strings.Contains(errs, "newer schema") {
			t.Errorf("newer, %v: %d %s", args, status, errs)
		}
	}
}

func TestCLI_ApplyTwiceChangesNothingAndShowsSecretsOnce(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	doc := c.write("registry.yaml", registry)
	var first, second struct {
		Clients []struct {
			ID     string `json:"client_id"`
			Change string `json:"change"`
			Secret string `json:"client_secret"`
		} `json:"clients"`
	}
	c.ok(&first, append([]string{"apply", "-f", doc}, c.kek()...)...)
	c.ok(&second, append([]string{"apply", "-f", doc}, c.kek()...)...)
	if first.Clients[0].Change != "created" || !strings.HasPrefix(first.Clients[0].Secret, "ecs_") {
		t.Errorf("first: %+v", first)
	}
	if second.Clients[0].Change != "unchanged" || second.Clients[0].Secret != "" {
		t.Errorf("second: %+v", second)
	}
	for _, args := range [][]string{{"client", "show", "web"}, {"client", "list"}} {
		if out, _, _ := c.run(append(args, c.common...)...); strings.Contains(out, "ecs_") || strings.Contains(out, "ecret\"") {
			t.Errorf("%v shows a secret: %s", args, out)
		}
	}
}

func TestCLI_ApplyNamesTheLineAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	bad := c.write("bad.yaml", strings.Replace(registry, "https://app.example.org/cb", "https://app.example.org/*", 1))
	_, errs, status := c.run(append([]string{"apply", "-f", bad}, append(c.common, c.kek()...)...)...)
	if status != exitFailed || !strings.Contains(errs, "line 10") || !strings.Contains(errs, "redirect_uris") {
		t.Errorf("%d %s", status, errs)
	}
	if out, _, _ := c.run(append([]string{"api", "list"}, c.common...)...); out != "" {
		t.Errorf("a refused document changed something: %s", out)
	}
}

func TestCLI_ClientLifeIsAudited(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	c.ok(nil, append([]string{"apply", "-f", c.write("r.yaml", registry)}, c.kek()...)...)
	var made struct{ ID, Change, Secret string }
	c.ok(&made, append([]string{"client", "create", "--client-id", "batch", "--client-name", "Batch", "--grant-types", "client_credentials", "--scope", "cases:read", "--apis", "cases", "--token-endpoint-auth-method", "client_secret_basic"}, c.kek()...)...)
	c.ok(nil, append([]string{"client", "update", "batch", "--client-name", "Batch two"}, c.kek()...)...)
	var rotated struct {
		Secret string `json:"client_secret"`
	}
	c.ok(&rotated, "client", "rotate-secret", "batch")
	if !strings.HasPrefix(rotated.Secret, "ecs_") {
		t.Errorf("rotated: %+v", rotated)
	}
	c.ok(nil, "client", "delete", "batch")
	var tr struct {
		Events []struct{ Type, Actor string }
	}
	c.ok(&tr, "audit", "trace", "batch")
	var types []string
	for _, e := range tr.Events {
		types = append(types, e.Type)
		if !strings.HasPrefix(e.Actor, "operator:") {
			t.Errorf("%s by %q", e.Type, e.Actor)
		}
	}
	if got, want := strings.Join(types, " "), "client.created client.updated client.secret_rotated client.deleted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestCLI_UserCreateShowDisableEnable(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	c.ok(nil, append([]string{"apply", "-f", c.write("r.yaml", registry)}, c.kek()...)...)
	create := append([]string{
		"user", "create", "--email", "Ana@Example.org", "--given-name", "Ana", "--family-name", "Morales", "--birth-date", "1990-02-03", "--country", "mx",
		"--password-file", filepath.Join(c.dir, "password"), "--totp-secret-file", c.write("totp", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n"),
	}, append(c.kek(), c.pepper()...)...)
	var made struct{ ID string }
	c.ok(&made, create...)
	if _, errs, status := c.run(append(create, c.common...)...); status != exitFailed || !strings.Contains(errs, "exists") {
		t.Errorf("the same address again: %d %s", status, errs)
	}
	var shown person
	c.ok(&shown, append([]string{"user", "show", "ANA@example.org", "--api", "cases"}, c.kek()...)...)
	if shown.ID != made.ID || shown.TOTPs != 1 || len(shown.Subject) != 43 || shown.Subject == made.ID {
		t.Errorf("%+v", shown)
	}
	c.ok(nil, "user", "disable", made.ID, "--reason", "lost laptop")
	if _, errs, status := c.run(append([]string{"user", "disable", made.ID, "--reason", "again"}, c.common...)...); status != exitFailed || !strings.Contains(errs, "already") {
		t.Errorf("disabled twice: %d %s", status, errs)
	}
	c.ok(nil, "user", "enable", "ana@example.org", "--reason", "found it")
	c.ok(nil, append([]string{"user", "unlock", "ana@example.org", "--reason", "asked by phone"}, c.kek()...)...)
	var tr struct {
		Events []struct{ Type, Reason string }
	}
	c.ok(&tr, "audit", "trace", "ana@example.org")
	if len(tr.Events) != 4 || tr.Events[1].Type != "account.disabled" || tr.Events[1].Reason != "lost laptop" || tr.Events[3].Type != "account.unlocked" {
		t.Errorf("%+v", tr)
	}
}

func TestCLI_UserCreateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	_, errs, status := c.run(append([]string{
		"user", "create", "--email", "ana@@example.org", "--given-name", "", "--family-name", "<b>", "--birth-date", "1990-02-30", "--country", "XX", "--locale", "fr",
		"--password-file", c.write("short", "short"),
	}, append(c.common, append(c.kek(), c.pepper()...)...)...)...)
	for _, field := range []string{"email", "given_name", "family_name", "birth_date", "country", "locale", "password"} {
		if !strings.Contains(errs, field+": ") {
			t.Errorf("%s is not named", field)
		}
	}
	if status != exitFailed {
		t.Errorf("status %d: %s", status, errs)
	}
}

func TestCLI_KeysRotate(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	c.ok(nil, append([]string{"apply", "-f", c.write("r.yaml", registry)}, c.kek()...)...)
	if _, errs, status := c.run(append([]string{"keys", "rotate"}, append(c.common, c.kek()...)...)...); status != exitFailed || !strings.Contains(errs, "cache lifetime") {
		t.Errorf("a next key that nobody has seen yet began to sign: %d %s", status, errs)
	}
	var list struct{ Keys []listedKey }
	c.ok(&list, append([]string{"keys", "rotate", "--emergency"}, c.kek()...)...)
	states := map[string]int{}
	for _, k := range list.Keys {
		if k.Alg == "ES256" {
			states[k.State]++
		}
	}
	if states["active"] != 1 || states["next"] != 1 || states["discarded"] != 2 {
		t.Errorf("%v", states)
	}
}

func TestCLI_AuditVerifyNamesTheRecordThatWasEdited(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	c.ok(nil, append([]string{"apply", "-f", c.write("r.yaml", registry)}, c.kek()...)...)
	var good struct {
		Whole  bool
		Events int
	}
	c.ok(&good, "audit", "verify")
	if !good.Whole || good.Events < 3 {
		t.Fatalf("%+v", good)
	}
	alter(t, c, `UPDATE audit_events SET body = CAST(replace(CAST(body AS TEXT), '"web"', '"wEb"') AS BLOB) WHERE CAST(body AS TEXT) LIKE '%client.created%'`)
	out, _, status := c.run(append([]string{"audit", "verify"}, c.common...)...)
	if status != exitFailed || !strings.Contains(out, "BROKEN") {
		t.Errorf("%d %s", status, out)
	}
}

func TestCLI_ConfigShowHidesPasswords(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	out, _, status := c.run("config", "show", "--smtp-url", "smtp://user:hunter2@mail.example.org:587")
	if status != exitOK || strings.Contains(out, "hunter2") || !strings.Contains(out, "mail.example.org") {
		t.Errorf("%d %s", status, out)
	}
	for _, database := range []string{"postgres://idp:hunter2@db.example.org/idp", "postgres://idp@db.example.org/idp?password=hunter2"} {
		for _, more := range [][]string{nil, {"--json"}} {
			out, _, status = c.run(append([]string{"config", "show", "--database", database}, more...)...)
			if status != exitOK || strings.Contains(out, "hunter2") || !strings.Contains(out, "db.example.org") {
				t.Errorf("%d %s", status, out)
			}
		}
	}
}
