package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
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

// A new code waits for a claim under way on another replica, and finds the case owned: the code that was used stays used.
func TestPostgreSQL_ANewCodeDoesNotOvertakeAClaim(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	a, b := openDSN(t, dsn), openDSN(t, dsn)
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now, used := time.Now(), bytes.Repeat([]byte{1}, 32)
	c := cases.Create{Case: cases.Workflows().Forms["N-400"].Begin("cas_1", "MSC0000000001", "2026-01-01", now), CodeMAC: used, CodeExpires: now.Add(time.Hour)}
	claim := cases.Redeem{CaseID: "cas_1", CodeMAC: used, ReceiptMAC: used, Sub: "p1", At: now, Event: "evt_1"}
	write := func(s *sqlstore.Store, w unit.Write) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}, Event: look(1).Event})
	}
	if err := errors.Join(write(a, c), write(a, cases.CountTry{Sub: "p1", ReceiptMAC: used, At: now})); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err == nil {
		_, err = tx.ExecContext(t.Context(), `SELECT 1 FROM claim_tries FOR UPDATE`) // which the claim forgets last
	}
	if err != nil {
		t.Fatal(err)
	}
	claimed, reissued := make(chan error, 1), make(chan error, 1)
	go func() { claimed <- write(a, claim) }()
	waiting(t, db, 1)
	go func() {
		reissued <- write(b, cases.Reissue{CaseID: "cas_1", CodeMAC: bytes.Repeat([]byte{2}, 32), CodeExpires: c.CodeExpires})
	}()
	waiting(t, db, 2)
	if err := errors.Join(tx.Rollback(), <-claimed); err != nil {
		t.Fatal(err)
	}
	if err := <-reissued; !unit.IsConflict(err) {
		t.Errorf("a new code for a case that has an owner: %v", err)
	}
	var by string
	if err := db.QueryRowContext(t.Context(), `SELECT used_by FROM claim_codes WHERE used_at > 0 AND mac = $1`, used).Scan(&by); err != nil || by != "p1" {
		t.Errorf("the code that was used: by %q, %v", by, err)
	}
}

// waiting waits until so many wait for a lock in a database.
func waiting(t *testing.T, db *sql.DB, want int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait, want %d", n, want)
		}
	}
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
