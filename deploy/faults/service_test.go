package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

func TestCutShort_LeavesWithoutAnswerWhomTheBalancerCouldNotServe(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(cutShort(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.WriteHeader(http.StatusBadGateway)
	})))
	t.Cleanup(s.Close)
	for kind, status := range map[string]int{"text/plain": 0, "application/json": http.StatusBadGateway} {
		a, err := agent.Send(t.Context(), newClient(), http.MethodPost, s.URL+"/?type="+kind, nil)
		if (err != nil) != (status == 0) || a.Status != status {
			t.Errorf("%s: %d %v", kind, a.Status, err)
		}
	}
}

func TestPromises_AreBrokenByWhatFailsTooLate(t *testing.T) {
	t.Parallel()
	broke := time.Unix(1_800_000_000, 0)
	at := func(after time.Duration, status int) []record {
		return []record{{N: 1, Op: opRefresh, Began: broke.Add(after), Status: status}}
	}
	fine := report{answered: 1, recovered: time.Second}
	for name, c := range map[string]struct {
		fault   fault
		rep     report
		records []record
		broken  bool
	}{
		"nothing promised":       {fault{recover: quick}, fine, at(time.Minute, 0), false},
		"failed soon":            {fault{recover: quick, spared: noticed}, fine, at(noticed/2, 0), false},
		"no answer later":        {fault{recover: quick, spared: noticed}, fine, at(2*noticed, 0), true},
		"503 later":              {fault{recover: quick, spared: noticed}, fine, at(2*noticed, 503), true},
		"refused for good later": {fault{recover: quick, spared: noticed}, fine, at(2*noticed, 400), false},
		"felt":                   {fault{recover: quick, spared: unfelt}, fine, at(time.Millisecond, 503), true},
		"before it broke":        {fault{recover: quick, spared: unfelt}, fine, at(-time.Millisecond, 503), false},
		"recovered too late":     {fault{recover: quick}, report{answered: 1, recovered: 2 * quick}, nil, true},
		"nothing answered":       {fault{recover: quick}, report{}, nil, true},
	} {
		if out := c.fault.promises(c.rep, c.records, broke); (len(out) > 0) != c.broken {
			t.Errorf("%s: %v", name, out)
		}
	}
}

func TestFaults_AreHadWhereTheirStoreIs(t *testing.T) {
	t.Parallel()
	for store, want := range map[string]string{sqlite: "log cut short", postgres: "database failover", disk: "provider's disk full", full: "database's disk full", cluster: "redis failover"} {
		names := map[string]bool{}
		ends := true
		for _, f := range of(store, false) {
			names[f.name] = true
			if f.ends && !ends {
				t.Errorf("%s: %q hides what is held after faults that end nothing", store, f.name)
			}
			ends = f.ends
		}
		if !names[want] || names["redis stopped for long"] || names["kill"] != (store == sqlite || store == postgres) || names["slow network"] != (store == sqlite) {
			t.Errorf("%s: %v", store, names)
		}
	}
}

func TestUnconfirmed_IsWhatIsWrittenAndAnsweredWhileTheStandbyIsAway(t *testing.T) {
	t.Parallel()
	alone := span{at(10), at(20)}
	for name, c := range map[string]struct {
		rec   record
		found bool
	}{
		"answered":            {record{Op: opMachine, Status: 200, Began: at(11), Ended: at(12)}, true},
		"a code":              {record{Op: opRedeem, Status: 200, Began: at(11), Ended: at(12)}, true},
		"a refresh token":     {record{Op: opRefresh, Status: 200, Began: at(11), Ended: at(12)}, true},
		"began before":        {record{Op: opMachine, Status: 200, Began: at(9), Ended: at(12)}, false},
		"answered when back":  {record{Op: opMachine, Status: 200, Began: at(11), Ended: at(21)}, false},
		"refused":             {record{Op: opMachine, Status: 503, Began: at(11), Ended: at(12)}, false},
		"nothing was written": {record{Op: opCase, Status: 200, Began: at(11), Ended: at(12)}, false},
	} {
		if out := unconfirmed([]record{c.rec}, alone); (len(out) == 1) != c.found {
			t.Errorf("%s: %v", name, out)
		}
	}
}

func TestLeader_IsTheOnlyOneThatSaysSo(t *testing.T) {
	t.Parallel()
	says := func(n string) launch.Spec {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "idp_leader "+n+"\n") }))
		t.Cleanup(server.Close)
		return launch.Spec{Ready: server.URL + "/readyz"}
	}
	yes, no := says("1"), says("0")
	for name, c := range map[string]struct {
		specs     []launch.Spec
		but, want int // want -1: none
	}{
		"the second":     {[]launch.Spec{no, yes}, -1, 1},
		"none":           {[]launch.Spec{no, no}, -1, -1},
		"two":            {[]launch.Spec{yes, yes}, -1, -1},
		"the other":      {[]launch.Spec{yes, yes}, 0, 1},
		"none but it":    {[]launch.Spec{yes, no}, 0, -1},
		"it is not here": {[]launch.Spec{{Ready: "http://127.0.0.1:1/readyz"}, yes}, 0, 1},
	} {
		i, err := (&service{specs: c.specs}).leader(t.Context(), c.but, time.Second)
		if (err == nil) != (c.want >= 0) || (err == nil && i != c.want) {
			t.Errorf("%s: %d %v", name, i, err)
		}
	}
}

func TestRestBefore_ProcessesAreLookedAtBeforeTheyAreEnded(t *testing.T) {
	t.Parallel()
	ending := 0
	for _, f := range faults() {
		if r := (&run{done: 1}); r.restBefore(f) != f.ends {
			t.Errorf("%s: looked at: %t", f.name, !f.ends)
		}
		if f.ends {
			ending++
		}
		if r := (&run{done: restEvery}); !r.restBefore(f) {
			t.Errorf("%s: nobody looked for %d rounds", f.name, restEvery)
		}
	}
	if ending != 7 {
		t.Errorf("%d faults end processes", ending)
	}
}
