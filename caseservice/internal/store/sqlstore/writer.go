package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

// The size of the queue bounds memory and waiting; that of a batch bounds how long one commit keeps others out.
const (
	queueLen = 4096
	batchLen = 256
)

// The faults of a store that cannot write.
var (
	ErrUnavailable = (&fault.Error{Kind: fault.Unavailable, Code: "store_unavailable", Message: "nothing was done: try again shortly"}).After(time.Second)
	ErrClosed      = (&fault.Error{Kind: fault.Unavailable, Code: "shutting_down", Message: "nothing was done: this server is stopping"}).After(time.Second)
)

// writer is the one goroutine of a process that writes. It takes what is queued, applies each unit behind a savepoint of
// its own, and commits all of it with one fsync.
type writer struct {
	db      *sql.DB
	clock   clock.Clock
	log     *slog.Logger
	observe func(int, time.Duration)

	queue  chan *job
	mu     sync.RWMutex // guards closed against a send on a closed queue
	closed bool
	done   chan struct{}

	// Of the goroutine alone:
	tx   *connection
	id   int64 // row of this writer in ledger_writers, 0 until its first entry
	head chain.Head
}

// The states of a job: whoever leaves waiting first, the writer or the caller who gives up, decides.
const (
	waiting int32 = iota
	taken
	abandoned
)

type job struct {
	u     unit.Unit
	state atomic.Int32
	err   error
	done  chan struct{}
}

func startWriter(db *sql.DB, o Options, name string) *writer {
	w := &writer{db: db, clock: o.Clock, log: o.Log, observe: o.Observe, queue: make(chan *job, queueLen), done: make(chan struct{})}
	w.head.Writer = name
	go w.run()
	return w
}

// commit queues u and waits until it is durable. When ctx ends first, the unit is either withdrawn (the context's error)
// or awaited: an effect is never left in doubt.
func (w *writer) commit(ctx context.Context, u unit.Unit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{u: u, done: make(chan struct{})}
	if err := w.enqueue(j); err != nil {
		return err
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
		<-j.done
		return j.err
	}
}

func (w *writer) enqueue(j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
		return ErrUnavailable.Because(errors.New("the queue of the writer is full"))
	}
}

// stop refuses new units, finishes the queued ones and returns.
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
	batch := make([]*job, 0, batchLen)
	for j := range w.queue {
		batch = w.gather(append(batch[:0], j))
		if len(batch) > 0 {
			w.commitBatch(batch)
		}
	}
	if w.tx != nil {
		w.tx.close()
	}
}

// gather takes what else is queued, without waiting, and leaves out what was given up.
func (w *writer) gather(batch []*job) []*job {
	for len(batch) < batchLen {
		select {
		case j, ok := <-w.queue:
			if !ok {
				return takeWaiting(batch)
			}
			batch = append(batch, j)
			continue
		default:
		}
		break
	}
	return takeWaiting(batch)
}

func takeWaiting(batch []*job) []*job {
	kept := batch[:0]
	for _, j := range batch {
		if j.state.CompareAndSwap(waiting, taken) {
			kept = append(kept, j)
		}
	}
	return kept
}

// commitBatch makes the batch durable and tells everybody. A failure that is not one unit's own takes back all of them.
func (w *writer) commitBatch(batch []*job) {
	began := time.Now() //nolint:forbidigo // it measures, and decides nothing
	if err := w.apply(batch); err != nil {
		w.tx.abort()
		w.tx = nil
		w.log.Error("commit failed", "units", len(batch), "error", err)
		for _, j := range batch {
			j.err = ErrUnavailable.Because(err)
		}
	}
	for _, j := range batch {
		close(j.done)
	}
	if w.observe != nil {
		w.observe(len(batch), time.Since(began))
	}
}

func (w *writer) apply(batch []*job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while writing: %v", p)
		}
	}()
	if w.tx == nil {
		if w.tx, err = connect(w.db); err != nil {
			return err
		}
		if err := w.reload(); err != nil {
			return err
		}
	}
	if err := w.tx.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	before := w.head.Seq
	for _, j := range batch {
		if j.err, err = w.applyUnit(j.u); err != nil {
			return err
		}
	}
	if w.head.Seq != before {
		if err := w.tx.exec("UPDATE ledger_writers SET seq = ?, hash = ? WHERE id = ?", w.head.Seq, w.head.Hash[:], w.id); err != nil {
			return err
		}
	}
	return w.tx.exec("COMMIT")
}

// reload takes the head of this writer's chain from the database: after a commit that failed, only it knows whether the
// commit had reached the disk.
func (w *writer) reload() error {
	var hash []byte
	name := w.head.Writer
	w.id, w.head = 0, chain.Head{Writer: name}
	err := w.tx.queryRow("SELECT id, seq, hash FROM ledger_writers WHERE name = ?", []any{&w.id, &w.head.Seq, &hash}, name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	copy(w.head.Hash[:], hash)
	return err
}

// applyUnit applies one unit. own is what concerns this unit alone (a conflict), err what ends the batch.
func (w *writer) applyUnit(u unit.Unit) (own, err error) {
	if len(u.Writes) == 0 { // one INSERT at most, which is atomic by itself
		return nil, w.append(u.Event)
	}
	if err := w.tx.exec("SAVEPOINT unit"); err != nil {
		return nil, err
	}
	for _, write := range u.Writes {
		if err := w.tx.applyWrite(write); err != nil {
			var conflict *unit.Conflict
			if !errors.As(err, &conflict) {
				return nil, err
			}
			if err := w.tx.exec("ROLLBACK TO unit"); err != nil {
				return nil, err
			}
			own = conflict
			break
		}
	}
	if own == nil {
		if err := w.append(u.Event); err != nil {
			return nil, err
		}
	}
	return own, w.tx.exec("RELEASE unit")
}

// append adds the unit's entry to this writer's chain.
func (w *writer) append(e unit.Event) error {
	if e == nil {
		return nil
	}
	entry, ok := e.(ledger.Entry)
	if !ok {
		return fmt.Errorf("an event of type %T has no place in the ledger", e)
	}
	if w.id == 0 {
		if err := w.tx.queryRow("INSERT INTO ledger_writers (name, seq, hash) VALUES (?, 0, ?) RETURNING id", []any{&w.id}, w.head.Writer, w.head.Hash[:]); err != nil {
			return err
		}
	}
	at := w.clock.Now()
	text, err := ledger.Encode(at, entry)
	if err != nil {
		return err
	}
	record, head := chain.Next(w.head, text)
	if err := w.tx.exec(insertEntry, w.id, record.Seq, at.UnixMicro(), entry.Act, string(entry.Outcome), entry.Reason, entry.Case,
		entry.Sub, entry.Client, entry.Txn, entry.JTI, entry.Actor, string(entry.Purpose), entry.Request, record.Hash[:]); err != nil {
		return err
	}
	w.head = head
	return nil
}
