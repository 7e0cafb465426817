//go:build unix

package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary serve as the child of tests: what it does then is the value of CHILD.
func TestMain(m *testing.M) {
	if what := os.Getenv("CHILD"); what != "" {
		child(what)
		return
	}
	os.Exit(m.Run())
}

func child(what string) {
	switch what {
	case "die":
		for i := range 40 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		os.Exit(3)
	case "parent":
		p, err := NewGroup(os.Getenv("LOGS")).Start(Spec{Name: "orphan", Path: os.Args[0], Env: []string{"CHILD=serve"}})
		if err != nil {
			os.Exit(1)
		}
		fmt.Println(p.Pid)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	}
	if addr := os.Getenv("LISTEN"); addr != "" {
		began := time.Now()
		_ = http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch age := time.Since(began); {
			case age < 100*time.Millisecond:
				w.WriteHeader(http.StatusServiceUnavailable)
			case age < 200*time.Millisecond:
				_, _ = io.WriteString(w, `{"status":"ready","degraded":["issuer"]}`)
			default:
				_, _ = io.WriteString(w, `{"status":"ready"}`)
			}
		}))
	}
	time.Sleep(time.Minute)
}

// spec is a child of this binary that serves after 100 ms and whose parts all work after 200 ms.
func spec(t *testing.T, what string) Spec {
	t.Helper()
	var ports Ports
	defer ports.Release()
	port, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Name: what, Path: os.Args[0], Env: []string{"CHILD=" + what, "LISTEN=" + Loopback(port)}, Ready: base("127.0.0.1", port) + "/readyz"}
}

func begin(t *testing.T, g *Group, s Spec) *Process {
	t.Helper()
	p, err := g.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return p
}

// gone waits until no process has a pid.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 500 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

// zombie reports whether a process has ended and nobody asked how: in a container that has no init, orphans stay so.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
}

func TestReady_WaitsForAChildThatServesAndStopEndsIt(t *testing.T) {
	t.Parallel()
	g := NewGroup(t.TempDir())
	p := begin(t, g, spec(t, "serve"))
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(p.Spec.Ready)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || strings.Contains(string(body), "degraded") {
		t.Fatalf("ready, yet it answers %s %s (%v)", resp.Status, body, err)
	}
	g.Stop()
	gone(t, p.Pid)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := g.Wait(ctx); err != nil {
		t.Errorf("a child that was stopped counts as dead: %v", err)
	}
}

func TestStop_KillsWhoDoesNotGo(t *testing.T) {
	t.Parallel()
	g := NewGroup(t.TempDir())
	g.grace = 200 * time.Millisecond
	s := spec(t, "stubborn")
	p := begin(t, g, s)
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	g.Stop()
	if took := time.Since(began); took < g.grace || took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	gone(t, p.Pid)
}

func TestDeath_NamesTheChildAndShowsItsLastLines(t *testing.T) {
	t.Parallel()
	g := NewGroup(t.TempDir())
	p := begin(t, g, spec(t, "die"))
	for what, err := range map[string]error{"Ready": p.Ready(t.Context()), "Wait": g.Wait(t.Context())} {
		var d *Death
		if !errors.As(err, &d) || d.Name != "die" || !strings.HasPrefix(d.Tail, "line 25\n") || !strings.HasSuffix(d.Tail, "line 39") {
			t.Errorf("%s says %v", what, err)
		}
		if err != nil && !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("%s does not tell the status: %v", what, err)
		}
	}
}

func TestReady_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := spec(t, "serve")
	s.Env = s.Env[:1] // it listens nowhere
	p := begin(t, NewGroup(t.TempDir()), s)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestStart_ChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "CHILD=parent", "LOGS="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child does not run: %v", err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	gone(t, pid)
}

func TestPorts_PassOverWhatIsTaken(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			passOver(t, host)
		})
	}
}

func passOver(t *testing.T, host string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	busy := l.Addr().(*net.TCPAddr).Port
	var p Ports
	defer p.Release()
	first, err := p.From(busy)
	if err != nil || first <= busy {
		t.Errorf("port %d is taken, and %d was given (%v)", busy, first, err)
	}
	if second, err := p.From(busy); err != nil || second <= first {
		t.Errorf("%d was given after %d (%v)", second, first, err)
	}
	var other Ports
	defer other.Release()
	if third, err := other.From(busy); err != nil || third == first {
		t.Errorf("%d is promised, and was given to somebody else (%v)", third, err)
	}
	p.Release()
	mine, err := net.Listen("tcp", Loopback(first))
	if err != nil {
		t.Fatalf("a port that was let go cannot be used: %v", err)
	}
	_ = mine.Close()
}

func TestPrepare_MakesEachKeyOnceAndKeepsItPrivate(t *testing.T) {
	t.Parallel()
	c := Config{Dir: filepath.Join(t.TempDir(), "data")}
	read := func() (out []string) {
		for _, name := range []string{kek, pepper, codeKey} {
			b, err := os.ReadFile(c.SecretFile(name))
			if err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(c.SecretFile(name))
			if err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v (%v)", name, st.Mode(), err)
			}
			out = append(out, string(b))
		}
		return out
	}
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	first := read()
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	if second := read(); !slices.Equal(first, second) || first[0] == first[1] || len(strings.TrimSpace(first[0])) != 44 {
		t.Errorf("keys %q, then %q", first, second)
	}
}

func TestRoot_IsFoundFromBelow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o750); err != nil {
		t.Fatal(err)
	}
	if got, err := Root(deep); err == nil {
		t.Errorf("found %s where there is none", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.work"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Root(deep); err != nil || got != dir {
		t.Errorf("found %s (%v), want %s", got, err, dir)
	}
}

func TestLock_IsHeldByOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), path, false); !errors.Is(err, ErrLocked) {
		t.Errorf("a second holder got %v", err)
	}
	time.AfterFunc(100*time.Millisecond, unlock)
	again, err := Lock(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestEnviron_LeavesOutSettingsOfTheServices(t *testing.T) {
	t.Setenv("IDP_DATABASE", "sqlite:elsewhere")
	t.Setenv("CASESERVICE_LISTEN", "0.0.0.0:1")
	t.Setenv("KEPT", "1")
	got := strings.Join(Environ("IDP_NAME=x"), "\n")
	if strings.Contains(got, "elsewhere") || strings.Contains(got, "0.0.0.0") || !strings.Contains(got, "KEPT=1") || !strings.HasSuffix(got, "IDP_NAME=x") {
		t.Errorf("children see %s", got)
	}
}

func TestBuild_TellsWhatTheCompilerSays(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, m := range []string{"idp", "caseservice"} {
		dir := filepath.Join(root, m, "cmd", m)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		body := "package main\n\nfunc main() {}\n"
		if m == "caseservice" {
			body = "package main\n\nfunc main() { missing() }\n"
		}
		if err := errors.Join(
			os.WriteFile(filepath.Join(root, m, "go.mod"), []byte("module x.example/"+m+"\n\ngo 1.26\n"), 0o600),
			os.WriteFile(filepath.Join(dir, "main.go"), []byte(body), 0o600),
		); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Build(t.Context(), root, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("got %v", err)
	}
	if err := exec.Command(b.IDP).Run(); err != nil {
		t.Errorf("the other one does not run: %v", err)
	}
}
