package sqldb

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/stdlib"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/unit"
)

// errApart is a batch of which a job does not go through: nobody knows yet whether those behind it would.
var errApart = errors.New("a job of the batch is in conflict")

// try runs the jobs in one transaction. Each gets its own verdict in err; what it returns ended all of them, and nothing
// of any was written unless the connection broke during COMMIT. Where statements fly, it is tried first as if no job would be
// in conflict: nothing has to be waited for between one and the next. It is undone where one is, and the jobs have their verdicts
// one after another, each behind a savepoint, in the transaction that is committed.
func (w *writer) try(batch []*job) (err error) {
	w.doubt = false
	ctx, done := w.db.d.within(context.Background())
	if batch[0].long {
		ctx, done = context.WithTimeout(context.Background(), longPatience)
	}
	defer done()
	for kept := w.t != nil; ; kept = false {
		if w.t == nil {
			if err := w.connect(); err != nil {
				return err
			}
		}
		err = w.attempt(ctx, batch, w.db.d.flies)
		if errors.Is(err, errApart) && w.t != nil {
			err = w.attempt(ctx, batch, false)
		}
		if !kept || !w.lost || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		// The server is gone since the last transaction, and perhaps back: what was kept of it costs nobody an answer, as nothing
		// was begun over the connection. One that does not answer in time is not asked again.
	}
}

func (w *writer) attempt(ctx context.Context, batch []*job, together bool) error {
	w.t.start(ctx)
	w.lost = false
	clear(w.entries) // they are somebody's, and are not to be kept longer
	w.entries = w.entries[:0]
	id, head := w.id, w.head
	if err := w.t.control(w.db.d.begin); err != nil {
		w.drop()
		return err
	}
	err := w.prepare(batch[0].long)
	if err == nil {
		err = w.look(batch, together)
	}
	if err == nil {
		err = w.applyAll(batch, together)
	}
	if err == nil {
		err = w.save(head)
	}
	if err == nil {
		err = w.t.finish()
	}
	lonely, err := verdict(batch, together, err)
	if err != nil || lonely {
		w.id, w.head = id, head
		w.undo(err)
		return err
	}
	if err = w.t.commit(); err != nil {
		w.doubt = w.db.d.settled != nil && !w.db.d.settled(err)
		w.drop()
	}
	return err
}

// verdict is what becomes of a batch, err being what ended it: lonely is a job that is alone and in conflict.
func verdict(batch []*job, together bool, err error) (lonely bool, _ error) {
	if len(batch) == 1 {
		if unit.IsConflict(err) {
			batch[0].err, err = err, nil
		}
		return batch[0].err != nil, err
	}
	if together && (unit.IsConflict(err) || err == nil && slices.ContainsFunc(batch, func(j *job) bool { return j.err != nil })) {
		return false, errApart
	}
	return false, err
}

// undo takes back what was tried, and lets go of a chain that may not be what it was.
func (w *writer) undo(err error) {
	barred, begun := w.t.refused, w.t.begun
	undo := w.t.rollback()
	w.lost = undo != nil && !begun
	if undo != nil || errors.Is(err, errMoved) {
		w.drop()
	}
	if barred {
		w.begin() // what comes when the guard lets it pass may follow another past
	}
}

// prepare readies a transaction for its jobs: every one but those that take long holds the line.
func (w *writer) prepare(long bool) error {
	if long {
		if w.db.d.unhurried == "" {
			return nil
		}
		return w.t.control(w.db.d.unhurried)
	}
	take := w.t.SerializeShared
	if w.alone {
		take = func(key string) error { return w.t.Serialize(key) }
	}
	if err := take(Line); err != nil || w.db.opt.Guard == nil {
		return err
	}
	w.t.guards = true
	err := w.db.opt.Guard(w.t)
	w.t.guards = false
	w.t.refused = w.t.refused || refusal(err)
	return err
}

// refusal reports whether a guard's error is its own word.
func refusal(err error) bool {
	var refused *fault.Error
	return errors.As(err, &refused)
}

func (w *writer) applyAll(batch []*job, together bool) error {
	for _, j := range batch {
		if j.err != nil { // its conditions do not hold
			continue
		}
		own, err := w.one(j, !together && len(batch) > 1)
		if own != nil { // else, its conditions may have had their say meanwhile
			j.err = own
		}
		if together && own != nil {
			return own
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// one applies a job. own is its verdict where the transaction goes on without it; err ends the transaction.
func (w *writer) one(j *job, guarded bool) (own, err error) {
	guarded = guarded && j.apply != nil // an event by itself is one statement, which is whole or nothing anyway
	if guarded {
		if err := w.t.control("SAVEPOINT unit"); err != nil {
			return nil, err
		}
	}
	id, head := w.id, w.head
	if own, err = contained(func() error { return w.apply(j, guarded) }); err != nil {
		return nil, err
	}
	if own != nil {
		w.id, w.head = id, head
		if guarded {
			err = w.t.goBack()
		}
	}
	if guarded && err == nil {
		err = w.t.control("RELEASE unit")
	}
	return own, err
}

// apply applies a job; guarded waits for its answers, which are its own.
func (w *writer) apply(j *job, guarded bool) error {
	if j.apply != nil {
		err := j.apply(w.t)
		if guarded {
			_ = w.t.fly() // also behind a verdict of its own: the savepoint that is gone back to has to be its
		}
		if w.t.failed != nil { // whatever was made of it
			err = w.t.failed
		}
		if err != nil {
			return err
		}
	}
	if j.event == nil {
		return nil
	}
	if w.id == 0 {
		id, err := w.db.opt.Chain.Enter(w.t, w.head.Writer, j.at)
		if w.t.failed != nil { // whoever asks for an answer first hears of what was asked before
			err = w.t.failed
		}
		if err != nil {
			return err
		}
		w.id = id
	}
	r, head := chain.Next(w.head, j.body)
	w.head, w.entries = head, append(w.entries, Entry{j.at, r, j.event})
	return nil
}

// control runs a statement that begins or ends (part of) a transaction.
func (t *Tx) control(query string) error { return t.ask(asked{query: query}) }

// atOnce runs a statement that ends (part of) a transaction, and returns when it has.
func (t *Tx) atOnce(query string) error {
	if !t.d.flies {
		return t.control(query)
	}
	_, err := t.conn.ExecContext(t.ctx, query)
	return err
}

// errUndone is a transaction of which the server kept nothing, and said so.
var errUndone = errors.New("the transaction had failed: nothing of it was committed")

// commit returns when the transaction is durable. COMMIT of one that failed is no error to PostgreSQL: it says that it rolled back.
func (t *Tx) commit() error {
	if !t.d.flies {
		return t.control("COMMIT")
	}
	return t.conn.Raw(func(c any) error {
		tag, err := c.(*stdlib.Conn).Conn().Exec(t.ctx, "COMMIT")
		if err == nil && tag.String() != "COMMIT" {
			return errUndone
		}
		return err
	})
}

// rollback ends a transaction that came to nothing.
func (t *Tx) rollback() error {
	if t.forget(); t.d.flies && !t.sent {
		return nil
	}
	return t.atOnce("ROLLBACK")
}

// goBack undoes the unit that failed.
func (t *Tx) goBack() error {
	t.failed = nil
	return t.atOnce("ROLLBACK TO unit")
}
