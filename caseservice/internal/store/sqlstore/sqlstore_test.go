package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/store/storetest"
	"ellis.example/caseservice/internal/unit"
)

func open(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: "sqlite:" + path, Role: "test"})
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

// raw opens the file beside the store, as somebody with a shell would.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestSQLite_KeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "cases.db"))
	})
}

func look(i int) unit.Unit {
	return unit.Unit{Event: ledger.Entry{Act: "case.read", Outcome: ledger.Allowed, JTI: fmt.Sprint("j", i), Txn: "t"}}
}

func TestTwoProcesses_WriteOneFileWithTwoChains(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd name%25.db")
	stores := []*sqlstore.Store{open(t, path), open(t, path)}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if err := stores[i%2].Commit(t.Context(), look(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r, err := stores[0].Verify(t.Context())
	if err != nil || r.Broken != nil || r.Writers != 2 || r.Records != 200 {
		t.Errorf("%+v, %v", r, err)
	}
	if got, err := stores[1].Trace(t.Context(), "t"); err != nil || len(got) != 200 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func TestOpen_ManyAtOnceOnANewFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: "sqlite:" + path, Role: "test"})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpen_FileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "cases.db")
	s := open(t, path)
	if err := s.Commit(t.Context(), look(1)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}

func TestOpen_RefusesANewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	open(t, path)
	if _, err := raw(t, path).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: "sqlite:" + path, Role: "test"})
	if !errors.Is(err, sqlstore.ErrNewerSchema) || !strings.Contains(err.Error(), "run the newer release") {
		t.Errorf("got %v", err)
	}
	if _, err := sqlstore.Status(t.Context(), "sqlite:"+path); !errors.Is(err, sqlstore.ErrNewerSchema) {
		t.Errorf("status: %v", err)
	}
	if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); !errors.Is(err, sqlstore.ErrNewerSchema) {
		t.Errorf("up: %v", err)
	}
}

func TestMigrate_SaysWhereItWasAndIs(t *testing.T) {
	t.Parallel()
	db := "sqlite:" + filepath.Join(t.TempDir(), "cases.db")
	before, after, err := sqlstore.Migrate(t.Context(), db)
	if err != nil || before.Current != 0 || after.Current != after.Known || after.Known == 0 {
		t.Errorf("%+v %+v %v", before, after, err)
	}
	if _, _, err := sqlstore.Migrate(t.Context(), "mysql:x"); err == nil {
		t.Error("took another database's address")
	}
}

func TestClose_FinishesWhatIsQueuedAndRefusesMore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: "sqlite:" + path, Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	durable := 0
	for i := range 300 {
		wg.Go(func() {
			switch err := s.Commit(t.Context(), look(i)); {
			case err == nil:
				mu.Lock()
				durable++
				mu.Unlock()
			case !errors.Is(err, sqlstore.ErrClosed):
				t.Error(err)
			}
		})
	}
	time.Sleep(2 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := s.Commit(t.Context(), look(1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after close: %v", err)
	}
	if r, err := open(t, path).Verify(t.Context()); err != nil || r.Broken != nil || r.Records != int64(durable) {
		t.Errorf("%d were promised: %+v, %v", durable, r, err)
	}
}

func TestCommit_FailureTakesNothingAndServiceGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	s := open(t, path)
	if err := s.Commit(t.Context(), look(1)); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	mustExec(t, db, "ALTER TABLE ledger RENAME TO hidden")
	if err := s.Commit(t.Context(), look(2)); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("without a ledger: %v", err)
	}
	mustExec(t, db, "ALTER TABLE hidden RENAME TO ledger")
	if err := s.Commit(t.Context(), look(3)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Verify(t.Context()); err != nil || r.Broken != nil || r.Records != 2 || r.Writers != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCommit_RefusesWritesItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "cases.db"))
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{foreignWrite{}}}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if err := s.Commit(t.Context(), look(1)); err != nil {
		t.Error(err)
	}
}

type foreignWrite struct{}

func (foreignWrite) UnitWrite() {}

func mustExec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestLedger_IsAppendOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	if err := open(t, path).Commit(t.Context(), look(1)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE ledger SET act = 'x'", "DELETE FROM ledger"} {
		if _, err := raw(t, path).Exec(q); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", q, err)
		}
	}
}

func TestVerify_NamesTheFirstBadRecord(t *testing.T) {
	t.Parallel()
	table := map[string]struct {
		tamper string
		seq    int64
	}{
		"member changed":    {"UPDATE ledger SET outcome = 'refused' WHERE seq = 7", 7},
		"subject changed":   {"UPDATE ledger SET sub = 'x' WHERE seq = 7", 7},
		"moved in time":     {"UPDATE ledger SET at = at + 1 WHERE seq = 7", 7},
		"unlinked from txn": {"UPDATE ledger SET txn = '' WHERE seq = 7", 7},
		"record deleted":    {"DELETE FROM ledger WHERE seq = 7", 7},
		"tail cut":          {"DELETE FROM ledger WHERE seq > 15", 16},
		"all deleted":       {"DELETE FROM ledger", 1},
		"record appended":   {"INSERT INTO ledger SELECT writer, 21, at, act, outcome, reason, case_id, sub, client_id, txn, jti, actor, purpose, request_id, hash FROM ledger WHERE seq = 20", 21},
		"two swapped":       {"UPDATE ledger SET seq = -seq WHERE seq IN (7, 8); UPDATE ledger SET seq = 15 + seq WHERE seq < 0", 7},
		"writer unlisted":   {"PRAGMA foreign_keys = 0; DELETE FROM ledger_writers", 1},
		"hash changed":      {"UPDATE ledger SET hash = zeroblob(32) WHERE seq = 20", 20},
	}
	for name, c := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "cases.db")
			s := open(t, path)
			for i := range 20 {
				if err := s.Commit(t.Context(), look(i)); err != nil {
					t.Fatal(err)
				}
			}
			db := raw(t, path)
			mustExec(t, db, "DROP TRIGGER ledger_no_update; DROP TRIGGER ledger_no_delete; "+c.tamper)
			r, err := s.Verify(t.Context())
			if err != nil || r.Broken == nil || r.Broken.Seq != c.seq {
				t.Errorf("%+v, %v; want a break at %d", r.Broken, err, c.seq)
			}
		})
	}
}

// The schema has no place for who a person is: nothing but the issuer's subject.
func TestSchema_HoldsNoAccountData(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	open(t, path)
	rows, err := raw(t, path).Query("SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		n++
		for _, bad := range []string{"mail", "phone", "user", "given", "family", "birth", "password"} {
			if strings.Contains(column, bad) {
				t.Errorf("%s.%s", table, column)
			}
		}
	}
	if n < 50 || rows.Err() != nil {
		t.Errorf("%d columns, %v", n, rows.Err())
	}
}

func TestAttack_G12_HostileTextIsData(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "cases.db"))
	for _, text := range []string{"' OR '1'='1", "'; DROP TABLE cases; --", "\x00", "?", "$1", ":a", "\\", "%_", "é\xff", strings.Repeat("x", 100_000)} {
		if _, ok, err := s.File(t.Context(), text, text); ok || err != nil {
			t.Errorf("%.20q: %v, %v", text, ok, err)
		}
		if _, ok, err := s.FileByReceipt(t.Context(), text, paper.Receipt(text)); ok || err != nil {
			t.Errorf("%.20q: %v, %v", text, ok, err)
		}
		if got, err := s.List(t.Context(), text, cases.Position{ID: text}, 10); len(got) != 0 || err != nil {
			t.Errorf("%.20q: %v, %v", text, got, err)
		}
		if got, err := s.Trace(t.Context(), text); len(got) != 0 || err != nil {
			t.Errorf("%.20q: %v, %v", text, got, err)
		}
	}
}

func BenchmarkCommit_LedgerEntries(b *testing.B) {
	s, err := sqlstore.Open(b.Context(), sqlstore.Options{Database: "sqlite:" + filepath.Join(b.TempDir(), "cases.db"), Role: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetParallelism(16)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := s.Commit(b.Context(), look(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
