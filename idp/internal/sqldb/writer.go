package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

// The states of a job: whoever leaves waiting first, the writer or the caller who gives up, decides.
const (
	waiting int32 = iota
	taken
	abandoned
)

// job is what one caller wants written.
type job struct {
	conditions []unit.Write // looked at with those of the batch

	apply func(*Tx) error // nil: nothing
	event unit.Event      // nil: none
	body  []byte          // the event, encoded
	at    time.Time
	alone bool // in a transaction of its own
	long  bool // without the guard and with the patience of a command

	queued time.Time // where somebody asks how long it waited

	state  atomic.Int32
	err    error
	shared int // how many jobs were committed with it; 0: it was given up before
	done   chan struct{}
}

// writer is the one goroutine of a process that writes.
type writer struct {
	db    *DB
	queue chan *job
	done  chan struct{}

	refused atomic.Int64 // jobs, because the queue was full

	mu     sync.RWMutex // guards closed against a send on a closed queue
	closed bool

	// Of the goroutine alone:
	t    *Tx   // nil: not connected
	id   int64 // row of this chain; 0 until its first event
	head chain.Head
	held *job // taken from the queue, and not part of the batch

	entries []Entry // of the transaction, not stored yet

	alone bool // what is tried bears no other replica's transaction beside it
	doubt bool // nobody knows whether what was tried last was written
	lost  bool // the connection was, before what was tried last had begun

	until time.Time // when what is not written yet of a batch is given up; zero: never
}

const (
	defaultQueue = 2048
	defaultBatch = 128
	retries      = 5 // of a transaction that others were in the way of
	longPatience = 30 * time.Minute
)

func newWriter(db *DB) *writer {
	if db.opt.MaxQueue <= 0 {
		db.opt.MaxQueue = defaultQueue
	}
	if db.opt.MaxBatch <= 0 {
		db.opt.MaxBatch = defaultBatch
	}
	if db.opt.Role == "" {
		db.opt.Role = "wrt"
	}
	w := &writer{db: db, queue: make(chan *job, db.opt.MaxQueue), done: make(chan struct{})}
	w.begin()
	go w.run()
	return w
}

// begin starts a chain of its own. It does so again after a failure of which nobody can say what the database kept: the
// old chain ends where the database says, whatever that is.
func (w *writer) begin() { w.id, w.head = 0, chain.Head{Writer: ident.New(w.db.opt.Role)} }

// Commit runs apply (nil: nothing to run) and appends e (nil: no event), both or neither, and returns when they are durable. apply may run
// more than once, each time from the beginning. When ctx ends first, the job is withdrawn or awaited: an effect is never
// left in doubt. Errors: apply's *unit.Conflict; ErrBusy, ErrUnavailable, ErrClosed; ctx's.
func (db *DB) Commit(ctx context.Context, apply func(*Tx) error, e unit.Event) error {
	return db.CommitIf(ctx, nil, apply, e)
}

// Maintain runs apply in a transaction of its own, between those of requests. It writes no event.
func (db *DB) Maintain(ctx context.Context, apply func(*Tx) error) error {
	return db.w.submit(ctx, &job{apply: apply, alone: true, done: make(chan struct{})})
}

// Alone is Commit in a transaction of its own, without the guard, that may take as long as longPatience. Others wait for
// it meanwhile where they need the same rows.
func (db *DB) Alone(ctx context.Context, apply func(*Tx) error, e unit.Event) error {
	j := &job{apply: apply, event: e, at: db.opt.Clock.Now(), alone: true, long: true, done: make(chan struct{})}
	var err error
	if j.body, err = db.opt.Chain.Encode(j.at, e); err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return db.w.submit(ctx, j)
}

func (w *writer) submit(ctx context.Context, j *job) (err error) {
	if w.db.opt.Trace != nil {
		end := w.db.opt.Trace(ctx)
		defer func() { end(j.shared, err) }()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.enqueue(j); err != nil {
		return err
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
	}
	if j.state.CompareAndSwap(waiting, abandoned) {
		return ctx.Err()
	}
	<-j.done
	return j.err
}

func (w *writer) enqueue(j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	if w.db.opt.Waited != nil {
		j.queued = time.Now() //nolint:forbidigo // it measures, and decides nothing
	}
	select {
	case w.queue <- j:
		return nil
	default:
		w.refused.Add(1)
		return ErrBusy
	}
}

// stop refuses new jobs, finishes the queued ones and returns.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	defer func() { w.drop() }()
	batch := make([]*job, 0, w.db.opt.MaxBatch)
	for j := range w.queue {
		for w.held = j; w.held != nil; {
			runtime.Gosched() // who is about to queue a job shares this commit: else the first to wake us pays for one alone
			if batch = w.gather(batch[:0]); len(batch) > 0 {
				w.commit(batch)
			}
		}
	}
}

// gather takes the held job and what else is queued, without waiting, and leaves out what was given up. A job that wants
// to be alone comes alone, and is held where others came first.
func (w *writer) gather(batch []*job) []*job {
	next, open := w.held, true
	w.held = nil
	for next != nil {
		if next.alone && len(batch) > 0 {
			w.held = next
			return batch
		}
		if next.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, next)
		}
		if len(batch) == cap(batch) || (len(batch) == 1 && batch[0].alone) || !open {
			return batch
		}
		select {
		case next, open = <-w.queue:
		default:
			next = nil
		}
	}
	return batch
}

// commit makes the batch durable and tells everybody. Where it fails as a whole, each job is tried by itself, so that the
// one that cannot be written is nobody else's misfortune.
func (w *writer) commit(batch []*job) {
	began := time.Now() //nolint:forbidigo // it measures, and decides nothing
	if w.db.opt.Waited != nil {
		w.db.opt.Waited(began.Sub(batch[0].queued))
	}
	w.until = w.db.d.late(began, batch[0].long)
	err := w.try(batch)
	if err != nil && len(batch) > 1 && !w.doubt && !errors.Is(err, errMoved) { // what may have been written is not written again, nor what was decided over what is gone
		for i := range batch {
			if w.late() {
				fail(batch[i:], errLate)
				break
			}
			err = w.single(batch[i : i+1])
			if errors.Is(err, errMoved) || err != nil && w.t == nil && w.connect() != nil {
				fail(batch[i:], err) // all were decided over what is gone, or nothing answers: they need not wait for it one by one
				break
			}
			fail(batch[i:i+1], err)
		}
	} else if err != nil {
		fail(batch, w.again(batch, err))
	}
	for _, j := range batch {
		j.shared = len(batch)
		close(j.done)
	}
	if w.db.opt.Observe != nil {
		w.db.opt.Observe(len(batch), time.Since(began))
	}
}

func (w *writer) connect() error {
	ctx, done := w.db.d.within(context.Background())
	defer done()
	conn, err := w.db.single.Conn(ctx)
	if err == nil {
		w.t = &Tx{d: w.db.d, conn: conn, stmts: map[string]*sql.Stmt{}, many: map[string]many{}, told: map[string]*pgconn.StatementDescription{}, clk: w.db.opt.Clock}
	}
	return err
}

// drop gives the connection up, and the chain with it.
func (w *writer) drop() {
	if w.t == nil {
		return
	}
	w.t.close()
	w.t = nil
	w.begin()
}

// contained parts what a job may say of itself, a conflict or a panic, from what the database says: after that nobody
// knows what is left of the transaction, as SQLite ends it by itself on a full disk.
func contained(f func() error) (own, err error) {
	defer func() {
		if p := recover(); p != nil {
			own, err = nil, fmt.Errorf("panic in a write: %v", p)
		}
	}()
	err = f()
	if unit.IsConflict(err) {
		return err, nil
	}
	return nil, err
}
