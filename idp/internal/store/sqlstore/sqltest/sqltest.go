package sqltest

import (
	"path/filepath"
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/store/sqlstore"
)

// Open returns a fresh, migrated store over SQLite that ends with the test.
func Open(t testing.TB, clk clock.Clock) *sqlstore.Store {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "idp.db"), clk)
}

// OpenAt is Open for the file at path, which may exist already: a second replica, or a restart.
func OpenAt(t testing.TB, path string, clk clock.Clock) *sqlstore.Store {
	t.Helper()
	return OpenDSN(t, "sqlite:"+path, clk)
}

// OpenDSN is Open for a database that may exist already.
func OpenDSN(t testing.TB, dsn string, clk clock.Clock) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
