package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// asked is a statement, and what is made of its answer.
type asked struct {
	query string
	args  []any
	each  func(scan func(...any) error) error // called for every row; nil: they are not looked at
	done  func(n int64, err error) error      // says what the answer means, n being the rows that were changed; nil: an error is one
	guard bool                                // the guard asks
}

// flight is the most statements that wait for each other.
const flight = 512

// errSilent is a server that does not begin a transaction.
var errSilent = fmt.Errorf("the server does not answer: %w", context.DeadlineExceeded)

// ask has a statement run: at once, or where the database is on the other side of a wire, together with those that are asked
// next, in this order, when somebody has to know an answer. Whatever goes wrong is told then, as the error of a later
// statement or of the unit. From then on nothing is asked any more.
func (t *Tx) ask(a asked) error {
	a.args, a.guard = t.d.args(a.args), t.guards
	if !t.d.flies {
		return t.run(a)
	}
	if t.failed != nil {
		return t.failed
	}
	if t.queue = append(t.queue, a); len(t.queue) < flight {
		return nil
	}
	return t.fly()
}

// run asks a statement of a database in this process.
func (t *Tx) run(a asked) (err error) {
	var n int64
	st, err := t.stmt(a.query)
	switch {
	case err != nil:
	case a.each != nil:
		var rs *sql.Rows
		rs, err = st.QueryContext(t.ctx, a.args...)
		err = walk(rs, err, a.each)
	default:
		var r sql.Result
		if r, err = st.ExecContext(t.ctx, a.args...); err == nil {
			n, err = r.RowsAffected()
		}
	}
	if a.done != nil {
		return a.done(n, err)
	}
	return err
}

// fly sends what was asked, and looks at the answers in their order. What the first says that is an error is what is made of
// them all: the server runs nothing behind its own, and what it ran behind one of ours is undone with the rest.
func (t *Tx) fly() error {
	if t.failed != nil || len(t.queue) == 0 {
		return t.failed
	}
	t.sent = true
	broken := t.raw(func(c *pgx.Conn) { t.failed = t.flight(c) })
	if t.failed == nil {
		t.failed = broken
	}
	t.forget()
	return t.failed
}

// raw hands the connection out. A panic in what is made of an answer is an error, and ends the connection: its answers are half read.
func (t *Tx) raw(use func(*pgx.Conn)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v", p)
		}
	}()
	return t.conn.Raw(func(c any) error { use(c.(*stdlib.Conn).Conn()); return nil })
}

// forget leaves unasked what was not sent.
func (t *Tx) forget() {
	clear(t.queue) // the arguments are somebody's, and are not to be kept longer
	t.queue = t.queue[:0]
}

// flight asks the statements of the queue in one go. The first of a transaction begins it, and is answered by itself: that
// takes a server no work, so one that does not answer soon is gone, and a connection that was idle when it went must not
// cost the patience of a whole transaction.
func (t *Tx) flight(c *pgx.Conn) (err error) {
	ctx, heard := t.ctx, func() {}
	if t.begins {
		t.begins = false
		var silent atomic.Bool
		knocking, done := context.WithCancel(ctx)
		timer := time.AfterFunc(t.d.knock, func() { silent.Store(true); done() })
		ctx, heard = knocking, func() { timer.Stop() }
		defer func() {
			heard()
			done()
			if err != nil && silent.Load() {
				err = errSilent
			}
		}()
	}
	known := make([]*pgconn.StatementDescription, len(t.queue))
	for i := range t.queue {
		if known[i], err = t.known(ctx, c, t.queue[i].query, heard); err != nil {
			return err
		}
	}
	p := c.PgConn().StartPipeline(ctx)
	if err := t.send(p, c, known); err != nil {
		return errors.Join(err, p.Close())
	}
	for i := range t.queue {
		if err := t.answer(p, c, &t.queue[i], heard); err != nil {
			_ = p.Close() // it reads the other answers, and breaks a connection where it cannot
			return err
		}
		t.begun = true
	}
	return p.Close()
}

// known returns a statement that the server knows, and tells it of one that is new.
func (t *Tx) known(ctx context.Context, c *pgx.Conn, query string, heard func()) (*pgconn.StatementDescription, error) {
	if st := t.told[query]; st != nil {
		return st, nil
	}
	text := t.d.bind(query)
	st, err := c.Prepare(ctx, text, text)
	if err == nil {
		heard()
		t.told[query] = st
	}
	return st, err
}

func (t *Tx) send(p *pgconn.Pipeline, c *pgx.Conn, known []*pgconn.StatementDescription) error {
	for i, st := range known {
		if err := t.values.Build(c.TypeMap(), st, t.queue[i].args); err != nil {
			return err
		}
		p.SendQueryStatement(st, t.values.ParamValues, t.values.ParamFormats, slices.Clone(t.values.ResultFormats))
		if t.queue[i].query == t.d.begin {
			p.SendFlushRequest()
		}
	}
	return p.Sync()
}

// answer reads the next answer and says what it means.
func (t *Tx) answer(p *pgconn.Pipeline, c *pgx.Conn, a *asked, heard func()) error {
	var n int64
	got, err := p.GetResults()
	heard()
	switch r, ok := got.(*pgconn.ResultReader); {
	case err != nil:
	case !ok:
		err = fmt.Errorf("the server answered with a %T", got)
	case a.each != nil:
		err = walkThrough(pgx.RowsFromResultReader(c.TypeMap(), r), a.each)
	default:
		var tag pgconn.CommandTag
		tag, err = r.Close()
		n = tag.RowsAffected()
	}
	if a.done != nil {
		err = a.done(n, err)
	}
	t.refused = t.refused || a.guard && refusal(err)
	return err
}

// walkThrough is walk for the rows of a flight.
func walkThrough(rows pgx.Rows, each func(scan func(...any) error) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
