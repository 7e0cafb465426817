package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
)

// connection is the writer's own connection with its prepared statements. Statements run without a context that can end:
// they are short, and the writer alone decides when a transaction is over.
type connection struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func connect(db *sql.DB) (*connection, error) {
	c, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	return &connection{conn: c, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *connection) stmt(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(context.Background(), query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

func (c *connection) exec(query string, args ...any) error {
	_, err := c.affected(query, args...)
	return err
}

// affected runs a statement and returns how many rows it touched: the number that decides whether a condition held.
func (c *connection) affected(query string, args ...any) (int64, error) {
	s, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (c *connection) queryRow(query string, into []any, args ...any) error {
	s, err := c.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(into...)
}

// abort ends a transaction of which nothing may remain, and the connection with it: after a full disk nobody knows what
// state it is in.
func (c *connection) abort() {
	if c == nil {
		return
	}
	_, _ = c.conn.ExecContext(context.Background(), "ROLLBACK") // fails where SQLite has rolled back by itself
	c.close()
}

func (c *connection) close() {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	_ = c.conn.Close()
}

const sqliteConstraint = 19 // primary result code SQLITE_CONSTRAINT

// isConstraint reports whether a statement broke a constraint. It alone is undone then; the transaction goes on.
func isConstraint(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqliteConstraint
}
