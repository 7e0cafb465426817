package sqldb

import (
	"net"
	"os"
	"path/filepath"
	"strings"
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

// The first server that is named may be gone without a word: the start must not wait for it until nobody waits any more.
func TestOpen_PassesOverAServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	dsn := strings.Replace(pgtest.Database(t), "@", "@"+silent.Addr().String()+",", 1) + "&target_session_attrs=read-write"
	db, err := Open(t.Context(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
