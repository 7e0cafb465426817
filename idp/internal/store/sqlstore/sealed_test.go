package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
)

// TestSealed_EveryColumnOfTheSchemaIsKnown keeps a new sealed column from being left behind when the key-encryption key is
// replaced.
func TestSealed_EveryColumnOfTheSchemaIsKnown(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "idp.db")
	s := sqltest.OpenAt(t, path, clock.System{})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name LIKE '%sealed%' ORDER BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	known := append(s.SealedPlaces(), "refresh_tokens") // a successor is sealed under the token that it follows
	slices.Sort(known)
	if err := rows.Err(); err != nil || !slices.Equal(tables, known) {
		t.Errorf("the schema has sealed values in %v, and %v are rewrapped (%v)", tables, known, err)
	}
}
