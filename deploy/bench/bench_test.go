package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
)

// TestMain lets the test binary be the bare server, as the benchmark does with itself.
func TestMain(m *testing.M) {
	if status, is := yardstickCommand(os.Args); is {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func TestBench_ReportsEveryOperationInAKnownForm(t *testing.T) {
	t.Parallel()
	var out, said bytes.Buffer
	if status := run(t.Context(), []string{"--quick", "--seconds", "1", "--json", "--store", "sqlite", "--only", "discovery,client_credentials"}, &out, &said); status != 0 {
		t.Fatalf("status %d: %s", status, said.String())
	}
	var r map[string]any
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"startup_ms", "rss_idle_mb", "rss_load_mb"} {
		if n, ok := r[name].(float64); !ok || n <= 0 {
			t.Errorf("%s is %v", name, r[name])
		}
	}
	for _, y := range yardsticks() {
		if n, ok := r["yardsticks"].(map[string]any)[y.name].(float64); !ok || n <= 0 {
			t.Errorf("yardstick %s is %v", y.name, n)
		}
	}
	var names []string
	for _, one := range r["operations"].([]any) {
		o := one.(map[string]any)
		names = append(names, o["name"].(string))
		for _, name := range []string{"rate", "cpu_us", "p50_ms", "p99_ms", "workers"} {
			if n, ok := o[name].(float64); !ok || n <= 0 {
				t.Errorf("%s of %s is %v", name, o["name"], o[name])
			}
		}
		if o["errors"] != 0.0 || o["store"] != "sqlite" {
			t.Errorf("%v", o)
		}
	}
	if !slices.Equal(names, []string{"discovery", "client_credentials"}) {
		t.Errorf("operations %v", names)
	}
}

func TestRun_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--store", "mysql"}, {"--only", "discovery,nothing"}, {"--workers", "0"}, {"--fsync-delay", "1s"}, {"more"}, {"--no-such-flag"}, {"--seconds", "-1"}, {"--rows", "-1"}} {
		if status := run(t.Context(), args, io.Discard, io.Discard); status != 2 {
			t.Errorf("%v: status %d", args, status)
		}
	}
	if status := run(t.Context(), []string{"--compare", filepath.Join(t.TempDir(), "none")}, io.Discard, io.Discard); status != 1 {
		t.Errorf("a report that is not there: status %d", status)
	}
}

// server answers what h says and returns the port.
func server(t *testing.T, h http.HandlerFunc) int {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func TestConn_ReadsWhatServersSend(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40_000)
	c := newConn(server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chunks":
			for part := range slices.Chunk([]byte(long), 9000) {
				_, _ = w.Write(part)
				_ = http.NewResponseController(w).Flush()
			}
		case "/see":
			http.SetCookie(w, &http.Cookie{Name: "kept", Value: "1", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "old", MaxAge: -1})
			w.Header().Set("Location", "/there?x=1")
			w.WriteHeader(http.StatusSeeOther)
		default:
			_ = r.ParseForm()
			fmt.Fprintf(w, "%s %s %s %s %s", r.Host, r.Method, r.PostForm.Encode(), r.Header.Get("X"), r.Header.Get("Cookie"))
		}
	}), "there.example")
	t.Cleanup(c.close)
	c.jar = jar{"old": "0"}
	if a, err := c.expect(200, c.request("GET", "/chunks", nil)); err != nil || string(a.body) != long {
		t.Errorf("%d bytes in chunks (%v)", len(a.body), err)
	}
	if a, err := c.expect(303, c.request("GET", "/see", nil)); err != nil || a.location != "/there?x=1" || len(a.body) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := c.expect(200, c.request("POST", "/", []byte("a=b"), "X", "y")); err != nil || string(a.body) != "there.example POST a=b y kept=1" {
		t.Errorf("%s, %v", a.body, err)
	}
}

// An answer that is not the right one counts, whatever is wrong with it.
func TestDrive_CountsEveryWrongAnswer(t *testing.T) {
	t.Parallel()
	port := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/body":
			_, _ = io.WriteString(w, "something else")
		case "/cut":
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.WriteString(w, hello)
		}
	})
	for path, good := range map[string]bool{"/": true, "/status": false, "/body": false, "/cut": false} {
		c := newConn(port, "localhost")
		t.Cleanup(c.close)
		r := drive(t.Context(), []worker{again(c, c.request("GET", path, nil), hello)}, 100*time.Millisecond, func() usage { return usage{} })
		if (r.failed == 0) != good || (len(r.times) > 0) != good || (len(r.errs) == 0) != good {
			t.Errorf("%s: %d went well, %d failed: %v", path, len(r.times), r.failed, r.errs)
		}
		o := summary(operation{name: "x"}, "sqlite", 1, []round{r})
		if rep := (&report{Operations: []result{o}}); (rep.errors() == 0) != good {
			t.Errorf("%s: the report has %d errors", path, rep.errors())
		}
	}
}

// dry does an operation three times.
type dry struct{ left int }

func (d *dry) step() error {
	if d.left == 0 {
		return errDry
	}
	d.left--
	return nil
}
func (*dry) close() {}

func TestDrive_EndsWhenItsWorkersRunDry(t *testing.T) {
	t.Parallel()
	r := drive(t.Context(), []worker{&dry{3}, &dry{4}}, time.Minute, func() usage { return usage{} })
	if len(r.times) != 7 || r.failed != 0 || r.took > 30*time.Second {
		t.Errorf("%d operations, %d failures in %v", len(r.times), r.failed, r.took)
	}
}

func TestPool_GivesEachTokenOnceOrByTurns(t *testing.T) {
	t.Parallel()
	p := &pool{tokens: []string{"a", "b"}, once: true}
	if got := []int{p.takeOne(), p.takeOne(), p.takeOne()}; !slices.Equal(got, []int{0, 1, -1}) {
		t.Errorf("once: %v", got)
	}
	p = &pool{tokens: []string{"a", "b"}}
	if got := []int{p.takeOne(), p.takeOne(), p.takeOne()}; !slices.Equal(got, []int{0, 1, 0}) {
		t.Errorf("by turns: %v", got)
	}
}

func TestRound_SaysRatesAndQuantiles(t *testing.T) {
	t.Parallel()
	r := round{took: 2 * time.Second}
	for i := range 100 {
		r.times = append(r.times, time.Duration(i+1)*time.Millisecond)
	}
	if r.rate() != 50 || r.quantile(.5) != 51 || r.quantile(.99) != 100 || r.per(time.Second) != 10_000 {
		t.Errorf("rate %v, p50 %v, p99 %v, per %v", r.rate(), r.quantile(.5), r.quantile(.99), r.per(time.Second))
	}
	for _, c := range []struct {
		r    round
		want float64
	}{
		{round{}, 0}, {round{hash: 9}, 0}, {round{times: r.times[:1], cpu: usage{server: 10 * time.Microsecond}}, 0},
		{round{hash: 9, times: r.times[:1], cpu: usage{server: 10 * time.Microsecond}}, .9},
	} {
		if got := c.r.share(); got != c.want { // what is no number has no JSON
			t.Errorf("a bare hash is %v of %+v", got, c.r)
		}
	}
	if m := median([]int{5, 1, 9, 3}, func(n *int) int { return *n }); m != 3 {
		t.Errorf("median %d", m)
	}
}

func TestTable_ComparesInUnitsOfTheBareServer(t *testing.T) {
	t.Parallel()
	before := &report{Operations: []result{{Name: "jwks", Store: "sqlite", CPU: 10}}, Yardsticks: map[string]float64{"http": 5}}
	now := &report{Where: "here", Operations: []result{{Name: "jwks", Store: "sqlite", CPU: 40, Target: 20, Hash: .95, Kinds: map[string]int{"bad": 2}}, {Name: "new", Store: "sqlite", CPU: 7}}, Yardsticks: map[string]float64{"http": 10}}
	if got := now.since(before, now.Operations[0]); got != "2.00" { // four times as much on a machine that takes twice as long
		t.Errorf("ratio %s", got)
	}
	if got := now.since(before, now.Operations[1]); got != "-" {
		t.Errorf("a ratio to nothing: %s", got)
	}
	var out strings.Builder
	if err := now.table(&out, before); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"here", "jwks", "2.00", "4.0", "jwks over sqlite, 2 times: bad", "jwks over sqlite: one bare hash is 95.0 % of it", "argon2id"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	path := filepath.Join(t.TempDir(), "r.json")
	var text bytes.Buffer
	if err := errors.Join(now.writeJSON(&text), os.WriteFile(path, text.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if again, err := readReport(path); err != nil || again.Operations[0].CPU != 40 {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestBareHash_IsThatOfAnotherProcess(t *testing.T) {
	t.Parallel()
	if us, err := (&bench{}).bareHash(t.Context(), time.Millisecond); err != nil || us < 1000 {
		t.Errorf("%v µs, %v", us, err)
	}
}

func TestProc_SeesThisProcess(t *testing.T) {
	t.Parallel()
	for end := time.Now().Add(10 * time.Second); launch.CPU(os.Getpid(), true) == 0; {
		if time.Now().After(end) {
			t.Fatal("no processor time in ten seconds")
		}
	}
	if now, peak := launch.Resident(os.Getpid(), false), launch.Resident(os.Getpid(), true); now == 0 || peak < now {
		t.Errorf("resident %d, at its peak %d", now, peak)
	}
}

func TestFormToken_IsThatOfTheSignInForm(t *testing.T) {
	t.Parallel()
	page := `<form action="/language"><input name="csrf_token" value="other"></form><form method="post"><input type="hidden" name="csrf_token" value="a&#43;b"><input name="identifier"></form>`
	if token, ok := formToken([]byte(page)); !ok || token != "a+b" {
		t.Errorf("%q, %v", token, ok)
	}
	if _, ok := formToken([]byte("<p>nothing</p>")); ok {
		t.Error("found one where there is none")
	}
}
