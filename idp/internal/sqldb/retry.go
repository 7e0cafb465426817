package sqldb

import (
	"context"
	"fmt"
	"time"
)

// errLate ends what was not tried again in time: rows that somebody holds for long, as a commit does that waits for its standby,
// would hold up everybody who comes later, one patience after another.
var errLate = fmt.Errorf("others took too long: %w", context.DeadlineExceeded)

// late returns when a batch is given up that began then.
func (d *dialect) late(began time.Time, long bool) time.Time {
	if d.patience == 0 || long {
		return time.Time{}
	}
	return began.Add(d.patience)
}

func (w *writer) late() bool {
	return !w.until.IsZero() && time.Now().After(w.until) //nolint:forbidigo // it waits, and decides nothing
}

func fail(batch []*job, err error) {
	if err == nil {
		return
	}
	for _, j := range batch {
		j.err = Down(err)
	}
}

func (w *writer) single(one []*job) error { return w.again(one, w.try(one)) }

// again repeats a job that failed because others were in its way. After the second time that it was in theirs, too, there is
// nobody beside it: batches may take rows in any order, and one that gives way to them a step at a time could lose against every
// job of a long one.
func (w *writer) again(one []*job, err error) error {
	for n := 0; err != nil && n < retries && !w.late(); n++ {
		b := w.db.d.broken(err)
		if b != again && b != crossed {
			break
		}
		w.alone = w.alone || n > 0 && b == crossed
		err = w.try(one)
	}
	w.alone = false
	if err != nil {
		w.db.opt.Log.Error("not written", "error", err)
	}
	return err
}
