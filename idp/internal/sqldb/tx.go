package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/unit"
)

// Tx is the writer's connection inside a transaction. Statements are constant texts, prepared once for the life of the
// connection. Where the database is on the other side of a wire, those whose answer decides nothing else wait for each other and
// are sent in one go: what Run, MustOne and the like return is nil then, and a unit whose write fails ends when somebody asks
// for an answer, or at its end. It is for the function that it is handed to, and no longer.
type Tx struct {
	d     *dialect
	ctx   context.Context
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // of a database in this process
	clk   clock.Clock
	late  []late
	many  map[string]many

	told   map[string]*pgconn.StatementDescription // what a server was told of
	values pgx.ExtendedQueryBuilder
	queue  []asked // not sent yet

	begins  bool  // the next that is sent begins the transaction
	sent    bool  // something of this transaction was
	begun   bool  // the server said so
	failed  error // what ended it, or the unit that is applied
	guards  bool  // the guard is asking
	refused bool  // the guard refused
}

// start makes t that of a new transaction.
func (t *Tx) start(ctx context.Context) {
	t.forget()
	t.ctx, t.late, t.begins, t.sent, t.begun, t.failed, t.refused = ctx, nil, true, false, false, nil, false
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

// finish does what was asked for with Later, and waits for every answer.
func (t *Tx) finish() error {
	for _, l := range t.late {
		if err := l.do(t); err != nil {
			return err
		}
	}
	return t.fly()
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

// Exec runs a statement and returns how many rows it changed. Run is cheaper where nobody has to know.
func (t *Tx) Exec(query string, args ...any) (n int64, err error) {
	err = t.ask(asked{query: query, args: args, done: func(rows int64, err error) error { n = rows; return err }})
	if err == nil {
		err = t.fly()
	}
	return n, err
}

// Run runs a statement, however many rows it changes.
func (t *Tx) Run(query string, args ...any) error { return t.ask(asked{query: query, args: args}) }

// OneOr runs a statement that has to change exactly one row; else, it ends with an error.
func (t *Tx) OneOr(otherwise error, query string, args ...any) error {
	return t.ask(asked{query: query, args: args, done: func(n int64, err error) error {
		if err == nil && n != 1 {
			return otherwise
		}
		return err
	}})
}

// MustOne runs a statement that has to change exactly one row; else, and when it breaks a unique key, w is in conflict.
func (t *Tx) MustOne(w unit.Write, why, query string, args ...any) error {
	return t.ask(asked{query: query, args: args, done: func(n int64, err error) error {
		if (err != nil && t.d.broken(err) == unique) || (err == nil && n != 1) {
			return &unit.Conflict{Write: w, Why: why}
		}
		return err
	}})
}

// MustFind runs a query that has to yield a row; else, w is in conflict.
func (t *Tx) MustFind(w unit.Write, why, query string, args ...any) error {
	found := false
	return t.ask(asked{query: query, args: args, each: func(func(...any) error) error { found = true; return nil }, done: func(_ int64, err error) error {
		if err == nil && !found {
			return &unit.Conflict{Write: w, Why: why}
		}
		return err
	}})
}

// Ask runs a query and calls each for every row, now or with the statements that follow; each scans the row with the function it
// is given, and its error is that of the query.
func (t *Tx) Ask(each func(scan func(...any) error) error, query string, args ...any) error {
	return t.ask(asked{query: query, args: args, each: each})
}

// AskRow is Ask for a query that yields one row. Errors: sql.ErrNoRows.
func (t *Tx) AskRow(row func(scan func(...any) error) error, query string, args ...any) error {
	found := false
	return t.ask(asked{query: query, args: args, each: func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return row(scan)
	}, done: func(_ int64, err error) error {
		if err == nil && !found {
			return sql.ErrNoRows
		}
		return err
	}})
}

// Row runs a query that yields at most one row, inside the transaction.
func (t *Tx) Row(query string, args ...any) Row {
	return Row{scan: func(dest ...any) error {
		found := false
		err := t.Rows(func(scan func(...any) error) error {
			if found {
				return nil
			}
			found = true
			return scan(dest...)
		}, query, args...)
		if err == nil && !found {
			err = sql.ErrNoRows
		}
		return err
	}}
}

// Rows runs a query inside the transaction and calls each for every row; each scans it with the function it is given.
func (t *Tx) Rows(each func(scan func(...any) error) error, query string, args ...any) error {
	err := t.Ask(each, query, args...)
	if err == nil {
		err = t.fly()
	}
	return err
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
		if err := t.Run(t.d.serialize, k); err != nil {
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
	return t.Run(t.d.share, key)
}

func (t *Tx) close() {
	for _, st := range t.stmts {
		_ = st.Close()
	}
	_ = t.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that nobody gets it again
	_ = t.conn.Close()
}
