package sqldb

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ellis.example/idp/internal/sqldb/pgtest"
)

func TestOpen_KeepsTheFileFromOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, "sqlite:"+path)
	if err := add(t.Context(), db, "x", ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestOpen_TellsNoPasswordInItsErrors(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"postgres://u:s3cret@h:notaport/db", "postgres://u:s3cret@127.0.0.1:1/db?sslmode=disable"} {
		_, err := Open(t.Context(), dsn, Options{Migrations: migrations, Chain: events{}})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

// The first server that is named may be gone without a word: the start must not wait for it until nobody waits any more, and no
// later connection waits for it again.
func TestOpen_PassesOverAServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	var asked atomic.Int64
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }() // at the end: it says nothing
			asked.Add(1)
		}
	}()
	dsn := strings.Replace(pgtest.Database(t), "@", "@"+silent.Addr().String()+",", 1) + "&target_session_attrs=read-write"
	db := open(t, dsn)
	before := asked.Load()
	if before == 0 {
		t.Fatal("the first server was not asked")
	}
	var wg sync.WaitGroup
	for range 8 { // as many connections as are not there yet
		wg.Go(func() { report(t, db.Row(t.Context(), `SELECT pg_sleep(0.2)::text`).Scan(new(string))) })
	}
	if wg.Wait(); asked.Load() != before {
		t.Errorf("it was asked %d times again", asked.Load()-before)
	}
}
