package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/unit"
)

var (
	errDown = (&fault.Error{Kind: fault.Unavailable, Code: "store_unavailable", Message: "the service cannot reach its storage; try again soon"}).After(2 * time.Second)
	errBusy = (&fault.Error{Kind: fault.Unavailable, Code: "overloaded", Message: "too many requests at once; try again soon"}).After(time.Second)
)

// job is one unit on its way to disk, or a piece of maintenance that has a transaction of its own.
type job struct {
	ctx      context.Context
	writes   []unit.Write
	event    []byte // encoded; nil: none
	at       time.Time
	maintain func(*tx) error
	done     chan error
}

// writer owns the one connection that writes. All of its state belongs to its goroutine.
type writer struct {
	queue    chan *job
	maxBatch int
	quit     chan struct{}
	ended    sync.WaitGroup
	once     sync.Once

	t      *tx
	name   string
	id     int64 // row of this writer; 0 until its first event
	head   chain.Head
	closed chan struct{}
}

func newWriter(ctx context.Context, db *sql.DB, opt Options) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	queue, batch := opt.MaxQueue, opt.MaxBatch
	if queue <= 0 {
		queue = 1024
	}
	if batch <= 0 {
		batch = 128
	}
	name := ident.New("wrt")
	w := &writer{
		queue: make(chan *job, queue), maxBatch: batch, quit: make(chan struct{}), closed: make(chan struct{}),
		t: &tx{conn: conn, stmts: map[string]*sql.Stmt{}}, name: name, head: chain.Head{Writer: name},
	}
	w.ended.Add(1)
	go w.run()
	return w, nil
}

// Commit implements unit.Committer.
func (s *Store) Commit(ctx context.Context, u unit.Unit) error {
	j := &job{ctx: ctx, writes: u.Writes, at: s.clk.Now(), done: make(chan error, 1)}
	if u.Event != nil {
		e, ok := u.Event.(audit.Event)
		if !ok {
			return fmt.Errorf("unit carries a %T in place of an audit.Event", u.Event)
		}
		var err error
		if j.event, err = audit.Encode(j.at, e); err != nil {
			return fmt.Errorf("encode audit event: %w", err)
		}
	}
	return s.w.submit(j)
}

// maintain runs f in a transaction of its own between two batches.
func (s *Store) maintain(ctx context.Context, f func(*tx) error) error {
	return s.w.submit(&job{ctx: ctx, maintain: f, done: make(chan error, 1)})
}

func (w *writer) submit(j *job) error {
	select {
	case <-w.quit:
		return errDown.Because(errors.New("the store is closing"))
	default:
	}
	select {
	case w.queue <- j:
	default:
		return errBusy
	}
	select {
	case err := <-j.done:
		return err
	case <-w.closed:
	}
	select { // answered just before it ended
	case err := <-j.done:
		return err
	default:
		return errDown.Because(errors.New("the store closed first"))
	}
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.quit) })
	w.ended.Wait()
}

func (w *writer) run() {
	defer w.ended.Done()
	defer close(w.closed)
	defer w.t.close()
	for {
		select {
		case j := <-w.queue:
			w.work(j)
		case <-w.quit:
			for {
				select {
				case j := <-w.queue:
					w.work(j)
				default:
					return
				}
			}
		}
	}
}

// work takes what waits behind the first job, up to a batch, and makes it durable.
func (w *writer) work(first *job) {
	if first.maintain != nil {
		w.commitMaintenance(first)
		return
	}
	batch := append(make([]*job, 0, w.maxBatch), first)
	var after *job
	for len(batch) < w.maxBatch && after == nil {
		select {
		case j := <-w.queue:
			if j.maintain != nil {
				after = j
			} else {
				batch = append(batch, j)
			}
		default:
			w.commitBatch(batch)
			return
		}
	}
	w.commitBatch(batch)
	if after != nil {
		w.commitMaintenance(after)
	}
}

func (w *writer) commitMaintenance(j *job) {
	j.done <- w.transact(j.ctx, func() error { return j.maintain(w.t) })
}

// commitBatch runs all jobs in one transaction. Each gets its own verdict; if the commit itself fails, nothing of any of
// them was written, and all of those that had succeeded are told so.
func (w *writer) commitBatch(batch []*job) {
	verdicts := make([]error, len(batch))
	before, beforeID := w.head, w.id
	err := w.transact(context.Background(), func() error {
		for i, j := range batch {
			verdicts[i] = w.one(j)
		}
		return w.saveHead(before)
	})
	if err != nil {
		w.head, w.id = before, beforeID
	}
	for i, j := range batch {
		if verdicts[i] == nil {
			verdicts[i] = err
		}
		j.done <- verdicts[i]
	}
}

// transact runs f between BEGIN IMMEDIATE and COMMIT. Errors are faults of a store that is down, unless f's own.
func (w *writer) transact(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := w.t.exec(`BEGIN IMMEDIATE`); err != nil {
		return down(err)
	}
	err := contained(f)
	if err == nil {
		_, err = w.t.exec(`COMMIT`)
	}
	if err != nil {
		_, _ = w.t.exec(`ROLLBACK`) // fails when the driver has rolled back already
		return down(err)
	}
	return nil
}

// one applies a job under a savepoint, so that its loss is nobody else's.
func (w *writer) one(j *job) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if _, err := w.t.exec(`SAVEPOINT unit`); err != nil {
		return down(err)
	}
	head, id := w.head, w.id
	err := contained(func() error { return w.apply(j) })
	if err == nil {
		_, err = w.t.exec(`RELEASE unit`)
	}
	if err == nil {
		return nil
	}
	w.head, w.id = head, id
	_, undo := w.t.exec(`ROLLBACK TO unit`)
	_, free := w.t.exec(`RELEASE unit`)
	if undo != nil || free != nil {
		return down(errors.Join(err, undo, free))
	}
	if unit.IsConflict(err) {
		return err
	}
	return down(err)
}

func (w *writer) apply(j *job) error {
	for _, write := range j.writes {
		if err := applyWrite(w.t, write); err != nil {
			return err
		}
	}
	if j.event == nil {
		return nil
	}
	if w.id == 0 {
		if err := w.enter(j.at); err != nil {
			return err
		}
	}
	r, head := chain.Next(w.head, j.event)
	_, err := w.t.exec(`INSERT INTO audit_events (writer, seq, at, body, hash) VALUES (?,?,?,?,?)`, w.id, r.Seq, micros(j.at), r.Body, r.Hash[:])
	w.head = head
	return err
}

// enter names this writer in the database, with its first event.
func (w *writer) enter(at time.Time) error {
	err := w.t.row(`INSERT INTO audit_writers (name, started_at, head_seq, head_hash) VALUES (?,?,0,?) RETURNING id`, w.name, micros(at), w.head.Hash[:]).Scan(&w.id)
	if err != nil {
		w.id = 0
	}
	return err
}

func (w *writer) saveHead(before chain.Head) error {
	if w.head == before {
		return nil
	}
	_, err := w.t.exec(`UPDATE audit_writers SET head_seq = ?, head_hash = ? WHERE id = ?`, w.head.Seq, w.head.Hash[:], w.id)
	return err
}

// contained turns a panic into an error: one bad write must not end the writer of everybody.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a write: %v", p)
		}
	}()
	return f()
}
