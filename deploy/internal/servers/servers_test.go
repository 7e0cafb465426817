package servers_test

import (
	"context"
	"strings"
	"testing"

	"ellis.example/deploy/internal/servers"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPostgres_KeepsItsDataOverACrashAndFollows(t *testing.T) {
	t.Parallel()
	p, err := servers.StartPostgres(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = p.Stop() })
	must(t, p.Create(t.Context(), "one"))
	_, err = p.SQL(t.Context(), "one", "CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
	must(t, err)
	must(t, p.Kill())
	must(t, p.Start(t.Context()))
	s, err := p.Standby(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = s.Stop() })
	must(t, p.Kill())
	must(t, s.Promote(t.Context()))
	if out, err := s.SQL(t.Context(), "one", "INSERT INTO t VALUES (8); SELECT string_agg(n::text, ',' ORDER BY n) FROM t"); err != nil || out != "7,8" {
		t.Errorf("%q %v", out, err)
	}
}

func TestRedis_ForgetsOverACrash(t *testing.T) {
	t.Parallel()
	r, err := servers.StartRedis(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = r.Stop() })
	if out, err := r.Do(t.Context(), "SET", "a", "1"); err != nil || out != "OK" {
		t.Fatal(out, err)
	}
	must(t, r.Kill())
	must(t, r.Start(t.Context()))
	if out, err := r.Do(t.Context(), "GET", "a"); err != nil || out != "" {
		t.Errorf("%q %v", out, err)
	}
}

func TestStart_SaysWhyAServerEnded(t *testing.T) {
	t.Parallel()
	if r, err := servers.StartRedis(t.Context(), "--maxmemory", "plenty"); err == nil || !strings.Contains(err.Error(), "plenty") {
		t.Errorf("redis: %v", err)
		if err == nil {
			_ = r.Stop()
		}
	}
	if p, err := servers.StartPostgres(t.Context(), "shared_buffers=plenty"); err == nil || !strings.Contains(err.Error(), "plenty") {
		t.Errorf("PostgreSQL: %v", err)
		if err == nil {
			_ = p.Stop()
		}
	}
}

func TestPair_LosesNothingThatWasCommittedAndFollowsAgain(t *testing.T) {
	t.Parallel()
	p, err := servers.StartPair(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = p.Stop() })
	write := func(statement string) {
		t.Helper()
		_, err := p.Primary().SQL(t.Context(), "one", statement)
		must(t, err)
	}
	must(t, p.Primary().Create(t.Context(), "one"))
	write("CREATE TABLE t (n int)")
	for _, n := range []string{"7", "8"} { // two promotions: each server is primary once
		write("INSERT INTO t VALUES (" + n + ")")
		old := p.Primary()
		must(t, p.Primary().Kill())
		must(t, p.Promote(t.Context()))
		if p.Primary() == old {
			t.Fatal("the standby was not promoted")
		}
		must(t, p.Rebuild(t.Context()))
	}
	if out, err := p.Standby().SQL(t.Context(), "one", "SELECT string_agg(n::text, ',' ORDER BY n) FROM t"); err != nil || out != "7,8" {
		t.Errorf("the standby has %q %v", out, err)
	}
	if out, err := p.Primary().SQL(t.Context(), "one", "SELECT sync_state FROM pg_stat_replication"); err != nil || out != "sync" {
		t.Errorf("the standby is followed as %q %v", out, err)
	}
}

// A set makes another server the primary where one is lost, and takes the old one back.
func TestSets_MakeAnotherThePrimaryAndTakeTheOldOneBack(t *testing.T) {
	t.Parallel()
	type set interface {
		Primary(context.Context) (*servers.Redis, error)
		After(context.Context, *servers.Redis) error
		Whole(context.Context) error
		URL() string
		Stop() error
	}
	for kind, start := range map[string]func() (set, error){
		"redis+sentinel://": func() (set, error) { return servers.StartSentinel(t.Context()) },
		"redis+cluster://":  func() (set, error) { return servers.StartCluster(t.Context()) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, err := start()
			must(t, err)
			t.Cleanup(func() { _ = s.Stop() })
			old, err := s.Primary(t.Context())
			must(t, err)
			must(t, old.Kill())
			must(t, s.After(t.Context(), old))
			must(t, old.Start(t.Context()))
			must(t, s.Whole(t.Context()))
			p, err := s.Primary(t.Context())
			if err != nil || p == old || !strings.HasPrefix(s.URL(), kind) {
				t.Error(s.URL(), err)
			}
			if role, err := old.Do(t.Context(), "ROLE"); err != nil || !strings.HasPrefix(role, "slave") {
				t.Errorf("the old one is %.10q %v", role, err)
			}
		})
	}
}
