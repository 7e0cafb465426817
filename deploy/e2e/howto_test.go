package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestHowTo_FirstRelyingParty follows docs/how-to/first-relying-party.md: it registers the client with the page's command,
// builds the page's program, signs in, and looks at what the page promises to be seen.
func TestHowTo_FirstRelyingParty(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(demo.root, "docs", "how-to", "first-relying-party.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := goBlock.FindStringSubmatch(string(page))
	if program == nil || !strings.Contains(string(page), "--scope \"openid profile email cases:read\" --apis cases") {
		t.Fatal("the page has no program, or another command")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // the page's own port may be taken here
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
	_ = l.Close()
	var made struct {
		Secret string `json:"client_secret"`
	}
	out := demo.command(t, "idp", "client", "create", "--client-id", "hello", "--client-name", "Hello", "--redirect-uris", "http://"+addr+"/callback",
		"--grant-types", "authorization_code", "--scope", "openid profile email cases:read", "--apis", "cases", "--json")
	if err := json.Unmarshal(out, &made); err != nil || made.Secret == "" {
		t.Fatalf("%v: %s", err, out)
	}
	secrets.add("client secret", made.Secret)
	runProgram(t, strings.ReplaceAll(program[1], "localhost:9001", addr), "http://"+addr, made.Secret)

	ana := demo.People[0]
	p := &person{t: t, Email: ana.Email, Password: ana.Password, app: seededApps.of(t, ana)}
	v := newPlain(t)
	v.Open("http://" + addr + "/")
	seededApps.use(ana.Email, func() { p.signIn(v) })
	at(t, v, "/consent")
	v.Submit("allow", nil)
	for _, promised := range []string{"Hello. You are ", "urn:ellis:aal2", "200 OK", ana.Receipts[0]} {
		if !strings.Contains(v.HTML(), promised) {
			t.Errorf("the app does not say %q: %s", promised, short(v.HTML()))
		}
	}
	v.Open("http://" + addr + "/")
	if !strings.HasPrefix(v.HTML(), "Hello. You are ") {
		t.Errorf("the second time it does not come straight back: %s", v.URL())
	}
	trace := string(demo.command(t, "idp", "audit", "trace", "hello"))
	for _, promised := range []string{"signin.password", "signin.factor", "consent.given", "code.issued", "token.issued"} {
		if !strings.Contains(trace, promised) {
			t.Errorf("the trace has no %s:\n%s", promised, trace)
		}
	}
	jti := regexp.MustCompile(`jti=(\S+)`).FindAllStringSubmatch(trace, -1)
	if jti == nil || !strings.Contains(string(demo.command(t, "caseservice", "ledger", "trace", jti[len(jti)-1][1])), "case") {
		t.Errorf("the ledger does not know the token of\n%s", trace)
	}
}

// runProgram builds a program within the workspace and runs it until the test ends.
func runProgram(t *testing.T, text, url, secret string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "hello"), filepath.Join(dir, "main.go"))
	build.Dir = demo.root // its libraries are those of the portal
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the page's program does not build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "hello"))
	cmd.Env = append(os.Environ(), "ISSUER="+demo.Issuer, "CASE_API="+demo.CaseAPI, "CLIENT_SECRET="+secret)
	cmd.SysProcAttr = bound()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := direct.Get(url + "/")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
