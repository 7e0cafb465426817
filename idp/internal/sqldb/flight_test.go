package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/unit"
)

// thing has a name inserted, or is in conflict.
func thing(tx *Tx, name string) error {
	return tx.MustOne(write{name}, "there", `INSERT INTO things (name, n) VALUES (?, 1)`, name)
}

// mixed has nine jobs share a batch with one that does something else, in their midst; all others have to be written, and every
// chain whole. It returns what the one was told, and how often the first was tried.
func mixed(t *testing.T, db *DB, odd func(*Tx) error) (tries int, told error) {
	t.Helper()
	var seen oracle
	jobs := make([]func(context.Context) error, 10)
	for i := range jobs {
		jobs[i] = func(ctx context.Context) error {
			name := fmt.Sprint("thing ", i)
			err := db.Commit(ctx, func(tx *Tx) error {
				if i == 0 {
					tries++
				}
				if err := thing(tx, name); err != nil || i != 4 {
					return err
				}
				return odd(tx)
			}, event("added "+name))
			seen.note(name, err)
			return err
		}
	}
	all := shareOne(t, db, jobs...)
	for i, err := range all {
		if i != 4 && err != nil {
			t.Errorf("job %d: %v", i, err)
		}
	}
	if n := seen.check(t, db, false); n != 9 {
		t.Errorf("%d of 10 were written", n)
	}
	return tries, all[4]
}

// What a job in conflict wrote goes with it, and nobody else's; what it did behind its conflict decides nothing.
func TestFlight_AConflictInTheMiddleIsItsJobsAlone(t *testing.T) {
	for name, odd := range map[string]func(*Tx) error{
		"no row": func(tx *Tx) error {
			return tx.MustOne(write{"odd"}, "why", `UPDATE things SET n = 2 WHERE name = 'nothing'`)
		},
		"unique key": func(tx *Tx) error { return thing(tx, "thing 4") },
		"found none": func(tx *Tx) error { return tx.MustFind(write{"odd"}, "why", `SELECT 1 FROM things WHERE n = 9`) },
		"its own":    func(*Tx) error { return &unit.Conflict{Write: write{"odd"}} },
		"an error of another behind it": func(tx *Tx) error {
			return errors.Join(tx.MustOne(write{"odd"}, "why", `UPDATE things SET n = 2 WHERE name = 'nothing'`), tx.Run(`UPDATE things SET n = n / (n - n)`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, dsn string) {
				if strings.HasPrefix(dsn, "sqlite") && strings.Contains(name, "behind") {
					return // there, nothing runs behind a conflict
				}
				if tries, err := mixed(t, open(t, dsn), odd); !unit.IsConflict(err) || tries > 2 {
					t.Errorf("the odd one: %v; the first was tried %d times", err, tries)
				}
			})
		})
	}
}

// So it is for a job by itself: it is told of the first that did not hold.
func TestFlight_AJobIsToldOfItsFirstConflict(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		report(t, add(t.Context(), db, "a", ""))
		err := db.Commit(t.Context(), func(tx *Tx) error {
			if err := thing(tx, "b"); err != nil {
				return err
			}
			if err := tx.MustOne(write{"first"}, "why", `UPDATE things SET n = 2 WHERE name = 'nothing'`); err != nil {
				return err
			}
			return thing(tx, "a")
		}, event("added b"))
		if c, is := unit.ConflictIn[write](err); !is || c.name != "first" {
			t.Errorf("told %v", err)
		}
		var n int
		report(t, db.Row(t.Context(), `SELECT count(*) FROM things`).Scan(&n))
		if n != 1 {
			t.Errorf("%d things", n)
		}
		followed(t, db)
	})
}

func TestFlight_AnErrorInTheMiddleIsItsJobsAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		_, err := mixed(t, open(t, dsn), func(tx *Tx) error {
			return errors.Join(tx.Run(`INSERT INTO things (name, n) VALUES ('thing 4', 2)`), tx.Run(`UPDATE things SET n = 3`))
		})
		if !errors.Is(err, ErrUnavailable) || unit.IsConflict(err) {
			t.Errorf("the odd one: %v", err)
		}
	})
}

// A connection that is lost before COMMIT was sent leaves nothing in doubt: whoever can be written is, once.
func TestFlight_AConnectionLostInTheMiddleIsNobodyElsesMisfortune(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Database(t))
	_, err := mixed(t, db, func(tx *Tx) error {
		return errors.Join(tx.Run(`SELECT pg_terminate_backend(pg_backend_pid())`), thing(tx, "behind it"))
	})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("the odd one: %v", err)
	}
}

// What was swallowed of a statement that failed ends its job all the same.
func TestFlight_AFailureThatIsSwallowedIsNone(t *testing.T) {
	t.Parallel()
	tries, err := mixed(t, open(t, pgtest.Database(t)), func(tx *Tx) error {
		_ = tx.MustOne(write{"odd"}, "why", `UPDATE things SET n = 2 WHERE name = 'nothing'`)
		_, _ = tx.Exec(`SELECT 1`)
		return nil
	})
	if !unit.IsConflict(err) || tries > 2 {
		t.Errorf("the odd one: %v; the first was tried %d times", err, tries)
	}
}

// A guard's word comes with the other answers, and nothing is written before it.
func TestFlight_AGuardIsHeardBeforeTheCommit(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		refused := fault.New(fault.Unavailable, "set_back", "set back")
		var refuse atomic.Int64
		db, err := Open(t.Context(), dsn, Options{Migrations: migrations, Chain: events{}, Guard: func(tx *Tx) error {
			return tx.AskRow(func(scan func(...any) error) error {
				var n int64
				if err := scan(&n); err != nil || n == 0 {
					return err
				}
				return refused
			}, `SELECT CAST(? AS BIGINT) WHERE CAST(? AS BIGINT) < 2`, refuse.Load(), refuse.Load())
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		_, err = db.Migrate(t.Context())
		report(t, errors.Join(err, add(t.Context(), db, "a", "")))
		old := db.w.head
		refuse.Store(2)
		if err := add(t.Context(), db, "b", ""); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("a guard without an answer: %v", err)
		}
		if db.w.head != old {
			t.Errorf("behind a guard without an answer it goes on at %+v", db.w.head)
		}
		refuse.Store(1)
		if err := add(t.Context(), db, "c", ""); !errors.Is(err, refused) {
			t.Errorf("a guard that refuses: %v", err)
		}
		if db.w.head.Writer == old.Writer {
			t.Error("the chain goes on behind what a guard refused")
		}
		refuse.Store(0)
		report(t, add(t.Context(), db, "d", ""))
		var n int
		if err := db.Row(t.Context(), `SELECT count(*) FROM things`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%d things, %v", n, err)
		}
		followed(t, db)
	})
}

// More statements than wait for each other are sent in their order all the same.
func TestFlight_ALongUnitIsOne(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Database(t))
	report(t, db.Commit(t.Context(), func(tx *Tx) error {
		if err := thing(tx, "counter"); err != nil {
			return err
		}
		for i := range 3 * flight {
			if err := tx.MustOne(write{"counter"}, "order", `UPDATE things SET n = n + 1 WHERE name = 'counter' AND n = ?`, i+1); err != nil {
				return err
			}
		}
		return nil
	}, event("added counter")))
	var n int
	if err := db.Row(t.Context(), `SELECT n FROM things`).Scan(&n); err != nil || n != 3*flight+1 {
		t.Errorf("counted to %d, %v", n, err)
	}
}

// counted passes on what clients send to a server, and counts how often they do.
func counted(t *testing.T, dsn string) (through string, sent *atomic.Int64) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sent = &atomic.Int64{}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
			if err != nil {
				_ = c.Close()
				return
			}
			all.Go(func() { _, _ = io.Copy(c, s); _ = c.Close() })
			all.Go(func() {
				defer s.Close()
				buf := make([]byte, 1<<20)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					sent.Add(1)
					if _, err := s.Write(buf[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", cfg.User, l.Addr(), cfg.Database), sent
}

// A batch costs two round trips, however much is in it: its statements, and COMMIT.
func TestFlight_ABatchIsSentInTwo(t *testing.T) {
	t.Parallel()
	dsn, sent := counted(t, pgtest.Database(t))
	db := open(t, dsn)
	batch := func(name string) (cost int64) {
		jobs := make([]func(context.Context) error, 8)
		for i := range jobs {
			jobs[i] = func(ctx context.Context) error {
				return db.Commit(ctx, func(tx *Tx) error {
					return errors.Join(thing(tx, fmt.Sprint(name, i)), tx.Run(`UPDATE things SET n = n + 1 WHERE name = ?`, fmt.Sprint(name, i)))
				}, event("added "+fmt.Sprint(name, i)))
			}
		}
		before := make(chan int64, 1)
		held := func(ctx context.Context) error {
			return db.Commit(ctx, func(*Tx) error { before <- sent.Load(); return nil }, nil)
		}
		for _, err := range shareOne(t, db, append([]func(context.Context) error{held}, jobs...)...) {
			report(t, err)
		}
		return sent.Load() - <-before
	}
	batch("first ") // the server is told of the statements
	if cost := batch("second "); cost != 2 {
		t.Errorf("a batch was sent in %d", cost)
	}
}

// A condition that does not hold is not forgotten where its job asks for an answer meanwhile, by itself or beside others.
func TestFlight_AConditionIsHeardWhoeverAsksMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		db.opt.Broken = func(tx *Tx, asked []unit.Write, broken func(int)) error {
			for i, c := range asked {
				err := tx.Ask(func(func(...any) error) error { broken(i); return nil }, `SELECT 1 FROM things WHERE name = ?`, c.(write).name)
				if err != nil {
					return err
				}
			}
			return nil
		}
		report(t, add(t.Context(), db, "ended", ""))
		asking := func(condition, name string) func(context.Context) error {
			return func(ctx context.Context) error {
				return db.CommitIf(ctx, []unit.Write{write{condition}}, func(tx *Tx) error {
					n, err := tx.Exec(`INSERT INTO things (name, n) VALUES (?, 1)`, name)
					if err == nil && n != 1 {
						err = errors.New("not inserted")
					}
					return err
				}, event("added "+name))
			}
		}
		if err := asking("ended", "alone")(t.Context()); !unit.IsConflict(err) {
			t.Errorf("by itself: %v", err)
		}
		told := shareOne(t, db, asking("stands", "a"), asking("ended", "b"), asking("stands", "c"))
		if told[0] != nil || !unit.IsConflict(told[1]) || told[2] != nil {
			t.Errorf("beside others: %v", told)
		}
		var n int
		report(t, db.Row(t.Context(), `SELECT count(*) FROM things`).Scan(&n))
		if n != 3 {
			t.Errorf("%d things", n)
		}
		followed(t, db)
	})
}

// What is made of an answer may be as wrong as what asks: it costs its job, and not the process.
func TestFlight_APanicOverAnAnswerIsItsJobsAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		_, err := mixed(t, open(t, dsn), func(tx *Tx) error {
			return tx.Ask(func(func(...any) error) error { panic("over an answer") }, `SELECT 1`)
		})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "panic in a write") {
			t.Errorf("the odd one: %v", err)
		}
	})
}

// The first event of a chain asks for an answer: a conflict that comes with it is no failure of the storage.
func TestFlight_AConflictBeforeTheFirstEventIsOne(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		err := db.Commit(t.Context(), func(tx *Tx) error {
			return tx.MustOne(write{"odd"}, "why", `UPDATE things SET n = 2 WHERE name = 'nothing'`)
		}, event("changed"))
		if !unit.IsConflict(err) || errors.Is(err, ErrUnavailable) {
			t.Errorf("told %v", err)
		}
	})
}

// PostgreSQL takes COMMIT of a transaction that failed for a ROLLBACK, and that for a success.
func TestFlight_ACommitOfWhatFailedIsNone(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Database(t))
	err := db.Commit(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO things (name, n) VALUES ('lost', 1)`)
		if _, unseen := tx.conn.ExecContext(t.Context(), `SELECT 1 / 0`); unseen == nil {
			t.Error("nothing failed")
		}
		return err
	}, nil)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errUndone) {
		t.Errorf("told %v", err)
	}
}
