package main

import (
	"database/sql"
	"strings"
	"testing"
)

// alter changes a database behind the program's back.
func alter(t *testing.T, c *cli, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(c.common[1], "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", statement, n, err)
	}
}
