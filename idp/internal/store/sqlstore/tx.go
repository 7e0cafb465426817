package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ellis.example/idp/internal/unit"
)

// tx is the writer's connection inside a transaction. Statements are prepared once by their text, which is constant.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st := t.stmts[query]; st != nil {
		return st, nil
	}
	st, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.stmts[query] = st
	}
	return st, err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := st.Exec(args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// mustOne runs a statement that must change exactly one row; else, and when it breaks a unique key, w is in conflict.
func (t *tx) mustOne(w unit.Write, why, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if taken(err) || (err == nil && n != 1) {
		return &unit.Conflict{Write: w, Why: why}
	}
	return err
}

// row runs a query that yields at most one row, inside the transaction.
func (t *tx) row(query string, args ...any) scanner {
	st, err := t.stmt(query)
	if err != nil {
		return scanner{err: err}
	}
	return scanner{row: st.QueryRow(args...)}
}

func (t *tx) close() {
	for _, st := range t.stmts {
		_ = st.Close()
	}
	_ = t.conn.Close()
}

// taken reports whether err is a broken unique or primary key.
func taken(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
