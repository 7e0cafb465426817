package sqldb

import (
	"context"
	"fmt"

	"ellis.example/idp/internal/unit"
)

// CommitIf is Commit on conditions that write nothing and are looked at together, for all jobs of a batch, where their
// transaction begins: after each of them was handed over, so that whatever was committed before is seen, and at the price of
// one statement for all. What else the batch writes does not bear on them. Errors: those of Commit; *unit.Conflict with the
// condition that does not hold.
func (db *DB) CommitIf(ctx context.Context, conditions []unit.Write, apply func(*Tx) error, e unit.Event) error {
	j := &job{conditions: conditions, apply: apply, event: e, at: db.opt.Clock.Now(), done: make(chan struct{})}
	if e != nil {
		var err error
		if j.body, err = db.opt.Chain.Encode(j.at, e); err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
	}
	return db.w.submit(ctx, j)
}

// look gives the jobs their verdict whose conditions do not hold, and nobody else one. Those of jobs that are applied together come
// with the other answers. What it returns ends the transaction.
func (w *writer) look(batch []*job, together bool) error {
	var asked []unit.Write
	var by []*job
	for _, j := range batch {
		j.err = nil
		for _, c := range j.conditions {
			asked, by = append(asked, c), append(by, j)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	err := w.db.opt.Broken(w.t, asked, func(i int) {
		by[i].err = &unit.Conflict{Write: asked[i], Why: "looked at for the batch"}
	})
	if err == nil && !together {
		err = w.t.fly()
	}
	return err
}
