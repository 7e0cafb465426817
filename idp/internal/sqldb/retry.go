package sqldb

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
	for n := 0; err != nil && n < retries; n++ {
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
