package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestCutShort_LeavesWithoutAnswerWhomTheBalancerCouldNotServe(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(cutShort(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.WriteHeader(http.StatusBadGateway)
	})))
	t.Cleanup(s.Close)
	for kind, status := range map[string]int{"text/plain": 0, "application/json": http.StatusBadGateway} {
		a, err := send(t.Context(), newClient(), http.MethodPost, s.URL+"/?type="+kind, nil)
		if (err != nil) != (status == 0) || a.status != status {
			t.Errorf("%s: %d %v", kind, a.status, err)
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
	for store, want := range map[string]string{sqlite: "log cut short", postgres: "database failover", disk: "provider's disk full", cluster: "redis failover"} {
		names := map[string]bool{}
		for _, f := range of(store, false) {
			names[f.name] = true
		}
		if !names[want] || names["redis stopped for long"] || names["kill"] != (store == sqlite || store == postgres) || names["slow network"] != (store == sqlite) {
			t.Errorf("%s: %v", store, names)
		}
	}
}
