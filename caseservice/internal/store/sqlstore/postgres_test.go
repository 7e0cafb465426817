package sqlstore_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/sqldb/pgtest"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/store/storetest"
	"ellis.example/caseservice/internal/unit"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// replicas are several processes over one database: each unit goes to the next of them.
type replicas struct {
	*sqlstore.Store
	all  []*sqlstore.Store
	turn atomic.Uint64
}

// Commit implements unit.Committer.
func (r *replicas) Commit(ctx context.Context, u unit.Unit) error {
	return r.all[r.turn.Add(1)%uint64(len(r.all))].Commit(ctx, u)
}

func openDSN(t *testing.T, dsn string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: dsn, Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Whoever races in the contract, races across two replicas here.
func TestPostgreSQL_KeepsTheContractOverTwoReplicas(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		dsn := pgtest.Database(t)
		a, b := openDSN(t, dsn), openDSN(t, dsn)
		return &replicas{Store: a, all: []*sqlstore.Store{a, b}}
	})
}

func TestPostgreSQL_ManyComeUpAtOnceOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: dsn, Role: "test"})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Commit(t.Context(), look(i)); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, err := openDSN(t, dsn).Verify(t.Context()); err != nil || r.Broken != nil || r.Writers != 4 || r.Records != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPostgreSQL_LedgerIsAppendOnly(t *testing.T) {
	t.Parallel()
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	st := openDSN(t, s.DSN("postgres"))
	for i := range 3 {
		if err := st.Commit(t.Context(), look(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []string{"UPDATE ledger SET act = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"} {
		if err := s.Exec(t.Context(), q); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", q, err)
		}
	}
	// Who may drop the trigger is found by the chain.
	for _, q := range []string{"DROP TRIGGER ledger_no_change ON ledger", "UPDATE ledger SET sub = 'x' WHERE seq = 2"} {
		if err := s.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := st.Verify(t.Context()); err != nil || r.Broken == nil || r.Broken.Seq != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A read-only server takes no access, since none goes without its entry, and everything goes on by itself afterwards.
func TestPostgreSQL_ReadOnlyIsUnavailableAndPasses(t *testing.T) {
	t.Parallel()
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	st := openDSN(t, s.DSN("postgres"))
	set := func(value string) {
		t.Helper()
		for _, q := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + value, "SELECT pg_reload_conf()"} {
			if err := s.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}
	commitUntil := func(want func(error) bool) {
		t.Helper()
		var err error
		for range 200 { // a server takes a moment to read its settings
			if err = st.Commit(t.Context(), look(1)); want(err) {
				return
			}
		}
		t.Errorf("at last %v", err)
	}
	set("on")
	commitUntil(func(err error) bool { return fault.Is(err, fault.Unavailable) })
	if _, ok, err := st.File(t.Context(), "p", "cas_none"); ok || err != nil {
		t.Errorf("a read: %v, %v", ok, err)
	}
	if again, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: s.DSN("postgres"), Role: "test"}); err != nil {
		t.Errorf("it does not open: %v", err)
	} else if err := again.Close(); err != nil {
		t.Error(err)
	}
	set("off")
	commitUntil(func(err error) bool { return err == nil })
	if r, err := st.Verify(t.Context()); err != nil || r.Broken != nil {
		t.Errorf("%+v, %v", r, err)
	}
}
