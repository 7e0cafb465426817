package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/unit"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onBoth runs a test on a fresh database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, "sqlite:"+filepath.Join(t.TempDir(), "idp.db")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, pgtest.Database(t)) })
}

func openAt(t *testing.T, dsn string, opt Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func event(i int) unit.Unit {
	return unit.Unit{Event: audit.Event{Type: "test.event", Account: fmt.Sprint("acc_", i)}}
}

// follow checks every chain in the database against its head and returns how many records there are.
func follow(t *testing.T, s *Store) int {
	t.Helper()
	heads := map[int64]chain.Head{}
	ends := map[int64]chain.Head{}
	scan := func(scan func(...any) error) error {
		var id, seq int64
		var name string
		var hash []byte
		if err := scan(&id, &name, &seq, &hash); err != nil {
			return err
		}
		heads[id], ends[id] = chain.Head{Writer: name}, chain.Head{Writer: name, Seq: seq, Hash: hash32(hash)}
		return nil
	}
	if err := s.db.Rows(t.Context(), scan, `SELECT id, name, head_seq, head_hash FROM audit_writers`); err != nil {
		t.Fatal(err)
	}
	n := 0
	each := func(scan func(...any) error) error {
		var id, seq int64
		var body, hash []byte
		if err := scan(&id, &seq, &body, &hash); err != nil {
			return err
		}
		n++
		next, err := chain.Follow(heads[id], chain.Record{Writer: heads[id].Writer, Seq: seq, Body: body, Hash: hash32(hash)})
		heads[id] = next
		return err
	}
	if err := s.db.Rows(t.Context(), each, `SELECT writer, seq, body, hash FROM audit_events ORDER BY writer, seq`); err != nil {
		t.Fatal(err)
	}
	for id, end := range ends {
		if heads[id] != end {
			t.Fatalf("writer %d: the records end at %v, its head says %v", id, heads[id], end)
		}
	}
	return n
}

func TestCommit_ChainsOfTwoProcessesStandBesideEachOther(t *testing.T) {
	t.Parallel()
	onBoth(t, commitChainsOfTwoProcessesStandBesideEachOther)
}

func commitChainsOfTwoProcessesStandBesideEachOther(t *testing.T, dsn string) {
	a, b := openAt(t, dsn, Options{}), openAt(t, dsn, Options{})
	var wg sync.WaitGroup
	for i := range 400 {
		s := a
		if i%2 == 1 {
			s = b
		}
		wg.Go(func() {
			u := event(i)
			if i%5 == 0 { // loses, and must leave no hole
				u.Writes = []unit.Write{unit.Spend{Kind: "k"}, unit.Spend{Kind: "k"}}
			}
			if err := s.Commit(t.Context(), u); unit.IsConflict(err) != (i%5 == 0) || (err != nil && !unit.IsConflict(err)) {
				t.Errorf("unit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := follow(t, a); n != 320 {
		t.Fatalf("%d records, want 320", n)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestCommit_APanicInAWriteHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	onBoth(t, commitAPanicInAWriteHurtsNobodyElse)
}

func commitAPanicInAWriteHurtsNobodyElse(t *testing.T, dsn string) {
	s := openAt(t, dsn, Options{})
	defer s.Close()
	err := s.db.Maintain(t.Context(), func(*sqldb.Tx) error { panic("boom") })
	if err == nil {
		t.Fatal("a panic passed for success")
	}
	if err := s.Commit(t.Context(), event(1)); err != nil {
		t.Fatal("the writer died:", err)
	}
}

func TestClose_AnswersEveryUnitItTook(t *testing.T) {
	t.Parallel()
	onBoth(t, closeAnswersEveryUnitItTook)
}

func closeAnswersEveryUnitItTook(t *testing.T, dsn string) {
	s := openAt(t, dsn, Options{})
	var done atomic.Int64
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			switch err := s.Commit(t.Context(), event(i)); {
			case err == nil:
				done.Add(1)
			case !fault.Is(err, fault.Unavailable):
				t.Errorf("unit %d: %v", i, err)
			}
		})
	}
	time.Sleep(2 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	again := openAt(t, dsn, Options{})
	defer again.Close()
	if n := follow(t, again); int64(n) != done.Load() {
		t.Fatalf("%d units were answered, %d records are there", done.Load(), n)
	}
}

func TestCommit_RefusesBeyondItsQueue(t *testing.T) {
	t.Parallel()
	onBoth(t, commitRefusesBeyondItsQueue)
}

func commitRefusesBeyondItsQueue(t *testing.T, dsn string) {
	s := openAt(t, dsn, Options{MaxQueue: 4, MaxBatch: 2})
	defer s.Close()
	hold, held := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.db.Maintain(context.Background(), func(*sqldb.Tx) error { close(held); <-hold; return nil })
	}()
	<-held
	var busy atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := s.Commit(t.Context(), event(i)); errors.Is(err, sqldb.ErrBusy) {
				busy.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for busy.Load() < 16 {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	wg.Wait()
	if busy.Load() != 16 || follow(t, s) != 4 {
		t.Fatalf("%d refused, %d written", busy.Load(), follow(t, s))
	}
}

func TestMigrate_RefusesANewerSchema(t *testing.T) {
	t.Parallel()
	onBoth(t, migrateRefusesANewerSchema)
}

func migrateRefusesANewerSchema(t *testing.T, dsn string) {
	s := openAt(t, dsn, Options{})
	defer s.Close()
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := func(version, worksWith int64) {
		t.Helper()
		err := s.db.Maintain(t.Context(), func(t *sqldb.Tx) error {
			_, err := t.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, TRUE)`, version)
			if err == nil && worksWith > 0 {
				err = t.Run(`INSERT INTO schema_steps (version, works_with) VALUES (?,?)`, version, worksWith)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, newest, err := s.db.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next(newest+1, newest)
	if done, err := s.Migrate(t.Context()); err != nil || len(done) != 0 {
		t.Fatalf("behind a step that works with it: %v, %v", done, err)
	}
	next(newest+2, 0)
	if _, err := s.Migrate(t.Context()); !errors.Is(err, ErrNewerSchema) {
		t.Fatalf("got %v", err)
	}
}

func TestMigrate_ManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, migrateManyProcessesAtOnce)
}

func migrateManyProcessesAtOnce(t *testing.T, dsn string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), dsn, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			if err := s.CheckSchema(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpen_RefusesWhatIsNoSQLitePath(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "idp.db", "sqlite:", "mysql://x", "sqlite:a?b", "sqlite:a#b"} {
		if _, err := Open(t.Context(), dsn, Options{}); !errors.Is(err, sqldb.ErrDSN) {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

func TestSweepAndIndex(t *testing.T) {
	t.Parallel()
	onBoth(t, sweepAndIndex)
}

func sweepAndIndex(t *testing.T, dsn string) {
	clk := clock.NewFake(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC))
	s := openAt(t, dsn, Options{Clock: clk})
	defer s.Close()
	for i := range 1200 {
		u := event(i % 7)
		u.Writes = []unit.Write{unit.Spend{Kind: "k", Key: unit.Key(fmt.Sprint(i)), Until: clk.Now().Add(time.Duration(i+1) * time.Second)}}
		if err := s.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(t.Context(), clk.Now().Add(1001*time.Second)); err != nil || n != 1000 {
		t.Fatalf("swept %d, %v", n, err)
	}
	if _, spent, err := s.Spent(t.Context(), "k", unit.Key("1199")); err != nil || !spent {
		t.Fatal("swept before its time", err)
	}
	if err := s.IndexAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := s.db.Row(t.Context(), `SELECT count(*) FROM audit_refs WHERE ref = ?`, "acc_3").Scan(&n); err != nil || n != 171 {
		t.Fatalf("%d events of acc_3, %v", n, err)
	}
}
