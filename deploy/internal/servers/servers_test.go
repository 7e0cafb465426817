package servers_test

import (
	"strings"
	"testing"

	"ellis.example/deploy/internal/servers"
)

func TestPostgres_KeepsItsDataOverACrashAndFollows(t *testing.T) {
	t.Parallel()
	p, err := servers.StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.Create(t.Context(), "one"))
	_, err = p.SQL(t.Context(), "one", "CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
	must(err)
	must(p.Kill())
	must(p.Start(t.Context()))
	s, err := p.Standby(t.Context())
	must(err)
	t.Cleanup(func() { _ = s.Stop() })
	must(p.Kill())
	must(s.Promote(t.Context()))
	if out, err := s.SQL(t.Context(), "one", "INSERT INTO t VALUES (8); SELECT string_agg(n::text, ',' ORDER BY n) FROM t"); err != nil || out != "7,8" {
		t.Errorf("%q %v", out, err)
	}
}

func TestRedis_ForgetsOverACrash(t *testing.T) {
	t.Parallel()
	r, err := servers.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	if out, err := r.Do(t.Context(), "SET", "a", "1"); err != nil || out != "OK" {
		t.Fatal(out, err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
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
