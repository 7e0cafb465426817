package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

func TestLeaked_NamesWhoHoldsMoreThanATwentiethMore(t *testing.T) {
	t.Parallel()
	before := map[string]burden{"idp-1": {200, 100}}
	for name, c := range map[string]struct {
		now  burden
		want int
	}{
		"the same":          {burden{200, 100}, 0},
		"less":              {burden{20, 10}, 0},
		"what may be more":  {burden{226, 121}, 0},
		"a goroutine more":  {burden{227, 121}, 1},
		"a file more":       {burden{226, 122}, 1},
		"of which only one": {burden{900, 900}, 1},
	} {
		if out := leaked(before, map[string]burden{"idp-1": c.now}); len(out) != c.want || (c.want > 0 && out[0].rule != "L9") {
			t.Errorf("%s: %v", name, out)
		}
	}
}

// A process that lets go of nothing is told from one that does so late.
func TestLeaks_WaitsForWhatIsLetGo(t *testing.T) {
	t.Parallel()
	var pool atomic.Value
	pool.Store("")
	goroutines := make(chan string, 2)
	goroutines <- "go_goroutines 5000\n"
	goroutines <- "go_goroutines 4000\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case many := <-goroutines:
			_, _ = io.WriteString(w, "# TYPE go_goroutines gauge\n"+many)
		default:
			_, _ = io.WriteString(w, "go_goroutines_other 9e9\ngo_goroutines 1.2e+01\n"+pool.Load().(string))
		}
	}))
	t.Cleanup(server.Close)
	p := &launch.Process{Pid: os.Getpid(), Spec: launch.Spec{Name: "self", Ready: server.URL + "/readyz"}}
	s := &system{look: time.Millisecond, idp: &service{procs: []*launch.Process{p}}, cases: &service{}}
	out, err := s.leaks(t.Context(), map[string]burden{"self": {12, 5000}})
	if err != nil || len(out) > 0 || len(goroutines) > 0 {
		t.Errorf("%v, %v, %d looks are left", out, err, len(goroutines))
	}
	now, err := s.rest(t.Context())
	if err != nil || now["self"].goroutines != 12 || now["self"].files == 0 {
		t.Errorf("%v, %v", now, err)
	}
	pool.Store("idp_redis_connections{state=\"idle\"} 1000\nidp_redis_connections{state=\"in_use\"} 3000\n")
	if pooled, err := s.burdens(t.Context()); err != nil || pooled["self"].files > now["self"].files-900 || pooled["self"].files < now["self"].files-1100 {
		t.Errorf("%v where a pool keeps 1000 of %v, %v", pooled, now, err)
	}
}

func TestMissed_TellsWhatWasDoneFromWhatWasNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		op, next, to string
		done         bool
	}{
		"signed in":                  {opSignIn, "s", "http://localhost/authorize?flow=f", true},
		"a flow without a session":   {opSignIn, "", "/authorize?flow=f", false},
		"password changed":           {opPassword, "s", "/account?done=password_changed", true},
		"asked to sign in instead":   {opPassword, "", "/continue?flow=f", false},
		"signed out everywhere":      {opLeave, "", "/signed-out", true},
		"only elsewhere":             {opLeave, "", "/account/sessions?done=session_ended", false},
		"proof sent back to its end": {opProve, "", "/signup/continue?token=t", false},
		"what is told by its status": {opSignOut, "", "", true},
	} {
		got := missed(record{Op: c.op, Next: c.next}, agent.Answer{Header: http.Header{"Location": {c.to}}})
		if (got == "") != c.done {
			t.Errorf("%s: %q", name, got)
		}
		r := record{Op: c.op, Status: 303, Missed: got}
		if r.answered() != c.done {
			t.Errorf("%s: answered %t", name, r.answered())
		}
	}
}

// What was written is read once, and all of it.
func TestReader_GoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/ledger"
	l, err := openLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	back := reader{path: path}
	for n := 1; n <= 3; n++ {
		if err := l.write(record{Op: opCase, Began: time.Now(), Err: "ñ\n\"x\""}); err != nil {
			t.Fatal(err)
		}
		all, err := back.read()
		if err != nil || len(all) != n || all[n-1].N != n || all[n-1].Err != "ñ\n\"x\"" {
			t.Fatalf("%v, %v", all, err)
		}
	}
}
