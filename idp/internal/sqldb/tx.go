package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/unit"
)

// Tx is the writer's connection inside a transaction. Statements are constant texts, prepared once for the life of the
// connection. It is for the function that it is handed to, and no longer.
type Tx struct {
	d     *dialect
	ctx   context.Context
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	clk   clock.Clock
	late  []late
	many  map[string]many
}

// late is what is done at the end of a transaction.
type late struct {
	key string
	do  func(*Tx) error
}

// Now is the time by the clock of this process.
func (t *Tx) Now() time.Time { return t.clk.Now() }

// Later runs do once at the end of the transaction, whatever jobs share it and however often they ask with the same key. It
// runs also where the job that asked was undone. It is for what others have to wait for, such as taking the next number of a
// line: so late, nobody waits for more than the commit, and nothing is waited for while the number is held.
func (t *Tx) Later(key string, do func(*Tx) error) {
	for _, l := range t.late {
		if l.key == key {
			return
		}
	}
	t.late = append(t.late, late{key, do})
}

// finish does what was asked for with Later.
func (t *Tx) finish() error {
	for _, l := range t.late {
		if err := l.do(t); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) stmt(query string) (*sql.Stmt, error) {
	if st := t.stmts[query]; st != nil {
		return st, nil
	}
	st, err := t.conn.PrepareContext(t.ctx, t.d.bind(query))
	if err == nil {
		t.stmts[query] = st
	}
	return st, err
}

func (d *dialect) args(args []any) []any {
	if d.clean == nil {
		return args
	}
	return d.clean(args)
}

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(t.ctx, t.d.args(args)...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// MustOne runs a statement that has to change exactly one row; else, and when it breaks a unique key, w is in conflict.
func (t *Tx) MustOne(w unit.Write, why, query string, args ...any) error {
	n, err := t.Exec(query, args...)
	if (err != nil && t.d.broken(err) == unique) || (err == nil && n != 1) {
		return &unit.Conflict{Write: w, Why: why}
	}
	return err
}

// Row runs a query that yields at most one row, inside the transaction.
func (t *Tx) Row(query string, args ...any) Row {
	st, err := t.stmt(query)
	if err != nil {
		return Row{err: err}
	}
	return Row{row: st.QueryRowContext(t.ctx, t.d.args(args)...)}
}

// Rows runs a query inside the transaction and calls each for every row; each scans it with the function it is given.
func (t *Tx) Rows(each func(scan func(...any) error) error, query string, args ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	rs, err := st.QueryContext(t.ctx, t.d.args(args)...)
	return walk(rs, err, each)
}

// Line is the key that every batch takes beside others, and that is held alone by what bears nobody else.
const Line = "epoch"

// Serialize makes transactions that name the same key run one after another from here on, on every replica. It is for
// conditions over rows that do not exist yet, which no row's lock can guard.
func (t *Tx) Serialize(keys ...string) error {
	if t.d.serialize == "" {
		return nil
	}
	for _, k := range keys {
		if _, err := t.Exec(t.d.serialize, k); err != nil {
			return err
		}
	}
	return nil
}

// SerializeShared is Serialize for transactions that may run beside each other, but not beside one that holds the key alone.
func (t *Tx) SerializeShared(key string) error {
	if t.d.share == "" {
		return nil
	}
	_, err := t.Exec(t.d.share, key)
	return err
}

func (t *Tx) close() {
	for _, st := range t.stmts {
		_ = st.Close()
	}
	_ = t.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that nobody gets it again
	_ = t.conn.Close()
}
