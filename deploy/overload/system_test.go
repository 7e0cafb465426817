package overload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

var binaries launch.Binaries

func TestMain(m *testing.M) {
	runtime.LockOSThread() // Linux ends a child with the thread that started it
	root, err := launch.Root(".")
	if err == nil {
		binaries, err = launch.Build(context.Background(), root, io.Discard)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// system is the three services over SQLite, with one person who is signed in.
type system struct {
	*testing.T
	cfg                launch.Config
	idp, cases, portal *launch.Process
	clients            seed.Clients
	person             seed.Tokens
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{T: t, cfg: launch.Config{Binaries: binaries, Dir: t.TempDir(), Flags: map[string][]string{
		// Limits are for strangers; here one machine is everybody.
		launch.IDP:         {"--drain-delay", "0s", "--begin-rate", "0", "--form-rate", "0", "--failure-rate", "0", "--log-level", "warn"},
		launch.CaseService: {"--drain-delay", "0s", "--log-level", "warn"}, launch.Portal: {"--drain-delay", "0s", "--log-level", "warn"},
	}}}
	s.must(s.cfg.Prepare())
	s.ports()
	var err error
	s.clients, err = seed.RegisterApp(t.Context(), s.cfg)
	s.must(err)
	s.must(seed.KeepSecret(s.cfg, seed.App, s.clients[seed.App]))
	who := seed.Somebody(1)
	s.must(seed.CreateAccount(t.Context(), s.cfg, who))
	group := launch.NewGroup(s.cfg.Dir)
	t.Cleanup(group.Stop)
	for _, one := range []struct {
		to   **launch.Process
		spec launch.Spec
	}{{&s.idp, s.cfg.IDPSpec()}, {&s.cases, s.cfg.CaseAPISpec()}, {&s.portal, s.cfg.PortalSpec(seed.App)}} {
		*one.to, err = group.Start(one.spec)
		s.must(err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		t.Cleanup(cancel)
		s.must((*one.to).Ready(ctx))
	}
	s.person, _, err = s.clients.SignIn(t.Context(), s.cfg.Issuer(), who)
	s.must(err)
	return s
}

func (s *system) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *system) ports() {
	s.Helper()
	var ports launch.Ports
	defer ports.Release()
	p := &s.cfg.Ports
	for _, to := range []*int{&p.IDP, &p.IDPPrivate, &p.CaseAPI, &p.CaseAPIPrivate, &p.Portal, &p.PortalPrivate, &s.cfg.SMTP} {
		var err error
		*to, err = ports.Free()
		s.must(err)
	}
}

// machine is the token request of the machine.
func (s *system) machine() *http.Request {
	return s.request(http.MethodPost, s.cfg.Issuer()+"/token", seed.ForMachine().Encode(), "Authorization", s.clients.Basic(seed.Machine))
}

// request makes a request; a body is a form, unless the header fields say something else.
func (s *system) request(method, url, body string, fields ...string) *http.Request {
	s.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	s.must(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

// newClient returns a client with connections of its own that follows no redirect.
func newClient(connections int) *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func do(c *http.Client, r *http.Request) (a answer, err error) {
	res, err := c.Do(r)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}

// orderly reports whether an answer is one that may be given to anybody at any time.
func (a answer) orderly() bool {
	return a.status < 500 || (a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "")
}

// peak is the most memory that a process had resident, in bytes; 0 where that cannot be known.
func peak(p *launch.Process) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Pid), "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(f[0], 10, 64) // in kB
	return n << 10
}

// processorTime is what a process has used, 0 where that cannot be known (proc_pid_stat(5)).
func processorTime(p *launch.Process) (sum time.Duration) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Pid), "stat"))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name before may hold anything
	if len(f) < 13 {
		return 0
	}
	for _, ticks := range f[11:13] {
		n, _ := strconv.ParseInt(ticks, 10, 64)
		sum += time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	}
	return sum
}

// metric is the value of a series of a private listener, 0 where there is none yet.
func (s *system) metric(private int, series string) float64 {
	s.Helper()
	a, err := do(http.DefaultClient, s.request(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", private), ""))
	s.must(err)
	for line := range strings.Lines(a.body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			s.must(err)
			return n
		}
	}
	return 0
}

// alive fails the test when a service has ended.
func (s *system) alive() {
	s.Helper()
	for _, port := range []int{s.cfg.Ports.IDPPrivate, s.cfg.Ports.CaseAPIPrivate, s.cfg.Ports.PortalPrivate} {
		a, err := do(http.DefaultClient, s.request(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/healthz", port), ""))
		if err != nil || a.status != http.StatusOK {
			s.Errorf("the private listener at port %d: %v", port, errors.Join(err, fmt.Errorf("status %d", a.status)))
		}
	}
}
