//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

// built is the demo as a binary, for tests that end it in ways that `go run` does not hand on.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ellis-demo-test-")
	if err == nil {
		built = filepath.Join(dir, "demo")
		var out []byte
		if out, err = exec.Command("go", "build", "-buildvcs=false", "-o", built, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// running is a demo that was started. What it says goes to files, which can be read at any time.
type running struct {
	report
	cmd            *exec.Cmd
	stdout, stderr *os.File
	gone           chan struct{} // closed when it has ended
	took           time.Duration // until its JSON was there
}

// start runs a demo until its JSON is there.
func start(t *testing.T, name string, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command(name, args...), gone: make(chan struct{})}
	var err error
	for _, f := range []**os.File{&r.stdout, &r.stderr} {
		if *f, err = os.CreateTemp(t.TempDir(), ""); err != nil {
			t.Fatal(err)
		}
	}
	r.cmd.Stdout, r.cmd.Stderr = r.stdout, r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // how it ended is in its ProcessState
		close(r.gone)
	}()
	t.Cleanup(func() { _ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) })
	late := time.After(5 * time.Minute) // a cold build included
	for json.Unmarshal(read(t, r.stdout), &r.report) != nil {
		select {
		case <-r.gone:
			t.Fatalf("the demo ended: %v\n%s", r.cmd.ProcessState, r.said(t))
		case <-late:
			t.Fatalf("the demo is not ready:\n%s", r.said(t))
		case <-time.After(10 * time.Millisecond):
		}
	}
	r.took = time.Since(began)
	return r
}

func read(t *testing.T, f *os.File) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said is what the demo told people.
func (r *running) said(t *testing.T) string {
	t.Helper()
	return string(read(t, r.stderr))
}

// end sends a signal and returns the exit status and what was said.
func (r *running) end(t *testing.T, s syscall.Signal) (int, string) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	return r.wait(t)
}

func (r *running) wait(t *testing.T) (int, string) {
	t.Helper()
	select {
	case <-r.gone:
	case <-time.After(time.Minute):
		t.Fatal("the demo does not end")
	}
	return r.cmd.ProcessState.ExitCode(), r.said(t)
}

func (r *running) children() (pids []int) {
	for _, list := range r.Pids {
		pids = append(pids, list...)
	}
	return pids
}

// noChildren checks that no child is left; orphans may stay as zombies where there is no init.
func (r *running) noChildren(t *testing.T) {
	t.Helper()
	for _, pid := range r.children() {
		left := true
		for range 500 {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			_, state, _ := strings.Cut(string(stat), ") ")
			if left = err == nil && !strings.HasPrefix(state, "Z"); !left {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if left {
			t.Errorf("child %d outlives the demo", pid)
		}
	}
}

func ask(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a, err := agent.Send(ctx, http.DefaultClient, http.MethodGet, url, nil)
	if err != nil {
		t.Errorf("%s does not answer: %v", url, err)
	}
	return a.Status, string(a.Body)
}

func TestDemo_JSONDescribesWhatRuns(t *testing.T) {
	t.Parallel()
	r := start(t, built, "--ephemeral", "--json")
	r.checkMembers(t)
	r.checkAnswers(t)
	r.checkWalks(t)
	r.checkCurl(t)
	r.checkEnv(t)
	for name, pids := range r.Pids {
		for _, pid := range pids {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			want := map[string]string{"idp": "/idp\x00serve", "caseservice": "/caseservice\x00serve", "portal": "/caseservice\x00portal"}[name]
			if err != nil || want == "" || !strings.Contains(string(line), want) {
				t.Errorf("pid %d of %s runs %q (%v)", pid, name, line, err)
			}
		}
	}
	status, said := r.end(t, syscall.SIGTERM)
	if status != 0 {
		t.Errorf("it ended with status %d:\n%s", status, said)
	}
	r.noChildren(t)
	if _, err := os.Stat(r.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(read(t, r.stdout)))
	if err := dec.Decode(new(any)); err != nil {
		t.Error(err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Errorf("standard output has more than one object: %v", err)
	}
}

// keys are the sorted names of a JSON object's members.
func keys(t *testing.T, v any) []string {
	t.Helper()
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%v is no object", v)
	}
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (r *running) checkMembers(t *testing.T) {
	t.Helper()
	var raw map[string]any
	if err := json.Unmarshal(read(t, r.stdout), &raw); err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]string{
		"":        "admin case_api clients data_dir issuer mailbox people pids portal unclaimed",
		"people":  "email password receipts totp_secret",
		"clients": "client_id client_secret grant_types redirect_uris token_endpoint_auth_method",
		"pids":    "caseservice idp portal", "unclaimed": "code receipt",
	} {
		var v any = raw
		if of != "" {
			v = raw[of]
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, one := range list {
			if got := strings.Join(keys(t, one), " "); got != want {
				t.Errorf("%q has the members %s, want %s", of, got, want)
			}
		}
	}
	receipt, code := regexp.MustCompile(`^[A-Z]{3}\d{10}$`), regexp.MustCompile(`^([0-9A-Z]{4}-){5}[0-9A-Z]{4}$`)
	if len(r.People) != 2 || len(r.Unclaimed) != 3 {
		t.Fatalf("%d people and %d unclaimed cases", len(r.People), len(r.Unclaimed))
	}
	for _, p := range r.People {
		if !strings.HasSuffix(p.Email, "@example.com") || len(p.Password) < 15 || !regexp.MustCompile(`^[A-Z2-7]{32}$`).MatchString(p.TOTPSecret) || len(p.Receipts) != 2 || !receipt.MatchString(p.Receipts[0]) {
			t.Errorf("person %+v", p)
		}
	}
	for _, u := range r.Unclaimed {
		if !receipt.MatchString(u.Receipt) || !code.MatchString(u.Code) {
			t.Errorf("unclaimed %+v", u)
		}
	}
	r.checkClients(t)
}

func (r *running) checkClients(t *testing.T) {
	t.Helper()
	codeGrants := []string{"authorization_code", "refresh_token"}
	want := []client{
		{"portal", "", []string{r.Portal + "/callback"}, codeGrants, "client_secret_basic"},
		{"demo-web", "", []string{"http://localhost:9000/callback"}, codeGrants, "client_secret_basic"},
		{"demo-native", "", []string{"http://127.0.0.1/callback"}, codeGrants, "none"},
		{"demo-machine", "", []string{}, []string{"client_credentials"}, "client_secret_basic"},
	}
	got := slices.Clone(r.Clients)
	for i := range got {
		if has := strings.HasPrefix(got[i].Secret, "ecs_"); has != (got[i].ID != "demo-native") {
			t.Errorf("%s has the secret %q", got[i].ID, got[i].Secret)
		}
		got[i].Secret = ""
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("clients are %+v", got)
	}
	// What is said of them is what is registered.
	for _, c := range want {
		out := r.shell(t, "idp client show "+c.ID+" --json")
		var have client
		if err := json.Unmarshal(out, &have); err != nil {
			t.Fatal(err)
		}
		if have.Secret = ""; have.RedirectURIs == nil {
			have.RedirectURIs = []string{}
		}
		if !reflect.DeepEqual(have, c) {
			t.Errorf("registered is %+v, want %+v", have, c)
		}
	}
}

// shell runs a command line in a shell that has read the demo's environment.
func (r *running) shell(t *testing.T, line string) []byte {
	t.Helper()
	cmd := exec.Command("sh", "-ec", ". '"+r.DataDir+"/env'; "+line)
	cmd.Env = launch.Environ()
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s%s", line, err, out, said.Bytes())
	}
	return out
}

func (r *running) checkAnswers(t *testing.T) {
	t.Helper()
	for url, want := range map[string]int{
		r.Portal + "/": 200, r.CaseAPI + "/v1/cases": 401, r.Mailbox + "/": 200, r.Mailbox + "/messages.json": 200, r.Admin + "/readyz": 200, r.Admin + "/metrics": 200,
	} {
		if status, body := ask(t, url); status != want {
			t.Errorf("%s answers %d, want %d: %s", url, status, want, body)
		}
	}
	_, body := ask(t, r.Issuer+"/.well-known/openid-configuration")
	var meta struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal([]byte(body), &meta); err != nil || meta.Issuer != r.Issuer {
		t.Errorf("the issuer is %q in its metadata (%v), and %q", meta.Issuer, err, r.Issuer)
	}
}

// checkCurl runs the command line that the demo offers, as it stands.
func (r *running) checkCurl(t *testing.T) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\s+(curl .*)$`).FindStringSubmatch(r.said(t))
	if line == nil {
		t.Fatalf("there is no curl in:\n%s", r.said(t))
	}
	out, err := exec.Command("sh", "-c", line[1]).CombinedOutput()
	var stats struct {
		Total int `json:"total"`
	}
	if err != nil || json.Unmarshal(out, &stats) != nil || stats.Total != 7 {
		t.Errorf("%s\nanswers %s (%v)", line[1], out, err)
	}
}

// checkEnv runs commands of both services as the demo says that one can.
func (r *running) checkEnv(t *testing.T) {
	t.Helper()
	for _, line := range []string{"idp healthcheck", "idp config check", "idp audit verify", "caseservice healthcheck", "caseservice config check", "caseservice ledger verify"} {
		r.shell(t, line)
	}
	for _, p := range r.People {
		for _, n := range p.Receipts {
			if out := r.shell(t, "caseservice ledger tail -n 100"); !strings.Contains(string(out), "case.assign") || strings.Contains(string(out), n) {
				t.Errorf("the ledger says:\n%s", out)
			}
		}
	}
}

func TestDemo_ChildrenEndWhenItIsKilled(t *testing.T) {
	t.Parallel()
	r := start(t, built, "--ephemeral", "--json")
	r.end(t, syscall.SIGKILL)
	r.noChildren(t)
	_ = os.RemoveAll(r.DataDir)
}

func TestDemo_EndsWithGoRun(t *testing.T) {
	t.Parallel()
	r := start(t, "go", "run", ".", "--ephemeral", "--json")
	r.end(t, syscall.SIGKILL)
	r.noChildren(t)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := os.Stat(r.DataDir)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it did not tidy up: %v", err)
		}
	}
}

func TestDemo_EndsWhenAPartOfItDies(t *testing.T) {
	t.Parallel()
	r := start(t, built, "--ephemeral", "--json")
	if err := syscall.Kill(r.Pids["portal"][0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	status, said := r.wait(t)
	if status != 1 || !strings.Contains(said, "portal ended by itself (signal: killed)") || !strings.Contains(said, `"msg":"serving"`) {
		t.Errorf("status %d:\n%s", status, said)
	}
	r.noChildren(t)
}

// quick is what a start with everything built and made may take: 1 s on an idle machine, more beside other tests.
const quick = 15 * time.Second

func TestDemo_SecondStartFindsTheSamePeople(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", launch.Loopback(portIDP)); err == nil { // else somebody else has it
		defer l.Close()
	}
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, built, "--data-dir", dir, "--json")
	if strings.HasSuffix(first.Issuer, ":8080") || !strings.Contains(first.said(t), "port 8080 is taken") {
		t.Errorf("port 8080 is taken, and the issuer is %s; it said:\n%s", first.Issuer, first.said(t))
	}
	if out, err := exec.Command(built, "--data-dir", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "another demo runs over") {
		t.Errorf("a second demo over the same data: %v\n%s", err, out)
	}
	if status, said := first.end(t, syscall.SIGINT); status != 0 {
		t.Fatalf("status %d:\n%s", status, said)
	}
	second := start(t, built, "--data-dir", dir, "--json")
	if second.took > quick {
		t.Errorf("the second start took %s, want at most %s", second.took, quick)
	}
	t.Logf("the second start took %s", second.took.Round(time.Millisecond))
	second.checkCurl(t)
	if !reflect.DeepEqual(first.People, second.People) || !reflect.DeepEqual(first.Unclaimed, second.Unclaimed) {
		t.Errorf("first %+v, then %+v", first.report, second.report)
	}
	for i, c := range second.Clients {
		if c.Secret != first.Clients[i].Secret {
			t.Errorf("%s has another secret", c.ID)
		}
	}
	if status, said := second.end(t, syscall.SIGINT); status != 0 {
		t.Errorf("status %d:\n%s", status, said)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if info, infoErr := os.Stat(path); infoErr == nil && !e.IsDir() && !strings.Contains(path, "idp.db") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others can read %s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
