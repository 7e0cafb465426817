package lease_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/lease"
	"ellis.example/idp/internal/unit"
)

// table is one row in memory, with the conditions that the writes document.
type table struct {
	mu   sync.Mutex
	row  lease.Row
	down error
	busy int // of so many signs of life one gets through; 0: each does
	seen int
}

func (s *table) Lease(_ context.Context, name string) (lease.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.row
	r.Name = name
	return r, s.down
}

func (s *table) Commit(_ context.Context, u unit.Unit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down
	}
	held := func(w unit.Write, fence int64) error {
		if s.row.Fence != fence || s.row.Holder == "" {
			return &unit.Conflict{Write: w, Why: "lost"}
		}
		return nil
	}
	for _, w := range u.Writes {
		var err error
		switch w := w.(type) {
		case lease.Take:
			if w.Was.Fence != s.row.Fence || w.Was.Beat != s.row.Beat {
				return &unit.Conflict{Write: w, Why: "taken"}
			}
			s.row = lease.Row{Name: w.Was.Name, Holder: w.Holder, Fence: s.row.Fence + 1}
		case lease.Renew:
			if s.seen++; s.busy > 0 && s.seen%s.busy != 0 {
				return errors.New("too many at once")
			}
			err = held(w, w.Fence)
		case lease.Held:
			err = held(w, w.Fence)
		case lease.Release:
			if err = held(w, w.Fence); err == nil {
				s.row.Holder = ""
			}
		}
		if err != nil {
			return err
		}
		s.row.Beat++
	}
	return nil
}

func (s *table) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *table) get() lease.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.row
}

func candidate(s *table, c clock.Clock) *lease.Candidate {
	return lease.New(lease.Config{Name: "jobs", Store: s, Commit: s, Clock: c, Log: slog.New(slog.DiscardHandler)})
}

func takes(t *testing.T, c *lease.Candidate, want bool) {
	t.Helper()
	if got, err := c.Try(t.Context()); got != want || err != nil {
		t.Fatalf("taken %v, want %v (%v)", got, want, err)
	}
}

// The patience runs from when the candidate saw the last sign of life, by the time that passed at himself: what the clock of
// the holder says does not matter, nor what the candidate's said before it was set.
func TestTry_TakesOverWhenTheHolderWasSilentForLong(t *testing.T) {
	t.Parallel()
	s := &table{}
	own, others := clock.NewFake(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)), clock.NewFake(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC))
	a, b := candidate(s, own), candidate(s, others)
	if s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{a.Condition()}}) == nil {
		t.Error("the condition holds before the first term")
	}
	takes(t, a, true)
	takes(t, b, false)
	others.Advance(lease.Patience - 1)
	takes(t, b, false)
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{lease.Renew{Name: "jobs", Fence: a.Fence()}}}); err != nil {
		t.Fatal(err)
	}
	others.Advance(1)
	takes(t, b, false) // there was a sign of life
	others.Advance(lease.Patience - 1)
	others.Advance(-time.Hour)
	takes(t, b, false) // the clock was set back: nobody can tell how long it was
	others.Advance(lease.Patience)
	takes(t, b, true)
	if a.Fence() != 1 || b.Fence() != 2 {
		t.Errorf("fences %d, %d", a.Fence(), b.Fence())
	}
	for c, want := range map[*lease.Candidate]bool{a: false, b: true} {
		if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{c.Condition()}}); (err == nil) != want || (err != nil && !unit.IsConflict(err)) {
			t.Errorf("fence %d: %v", c.Fence(), err)
		}
	}
}

func TestTry_TakesAtOnceWhatWasGivenBack(t *testing.T) {
	t.Parallel()
	s, c := &table{}, clock.NewFake(time.Unix(0, 0))
	a, b := candidate(s, c), candidate(s, c)
	takes(t, a, true)
	takes(t, b, false)
	if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{lease.Release{Name: "jobs", Fence: 1}}}); err != nil {
		t.Fatal(err)
	}
	takes(t, b, true)
}

// runner is a candidate that runs; it says on channels when its work begins and ends.
type runner struct {
	*lease.Candidate
	began, ended, gone chan struct{}
	stop               context.CancelFunc
}

func run(t *testing.T, s *table, log *bytes.Buffer) *runner {
	t.Helper()
	return runOver(t, s, s, 10*time.Millisecond, log)
}

// runOver is run with what is written going another way, and another time between signs of life.
func runOver(t *testing.T, s *table, commit unit.Committer, every time.Duration, log *bytes.Buffer) *runner {
	t.Helper()
	h := slog.DiscardHandler
	if log != nil {
		h = slog.NewTextHandler(log, nil)
	}
	r := &runner{began: make(chan struct{}, 9), ended: make(chan struct{}, 9), gone: make(chan struct{})}
	r.Candidate = lease.New(lease.Config{Name: "jobs", Store: s, Commit: commit, Clock: clock.System{}, Log: slog.New(h), Patience: time.Second, Every: every})
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() {
		defer close(r.gone)
		r.Run(ctx, func(ctx context.Context) {
			r.began <- struct{}{}
			<-ctx.Done()
			r.ended <- struct{}{}
		})
	}()
	t.Cleanup(func() { stop(); <-r.gone })
	return r
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("not within ten seconds: " + what)
	}
}

func TestRun_OneWorksAtATimeAndHandsOver(t *testing.T) {
	t.Parallel()
	s := &table{}
	a := run(t, s, nil)
	within(t, "the first works", a.began)
	b := run(t, s, nil)
	if !a.Works() || b.Works() {
		t.Error("they say otherwise of themselves")
	}
	time.Sleep(1500 * time.Millisecond) // longer than the patience: signs of life keep b away
	if len(b.began) != 0 || len(a.ended) != 0 {
		t.Fatal("the second works while the first lives")
	}
	a.stop()
	<-a.gone
	if len(a.ended) != 1 {
		t.Error("the first ended before its work did")
	}
	within(t, "the second works", b.began)
	if r := s.get(); r.Fence != 2 {
		t.Errorf("%+v", r)
	}
}

// A holder whose number was taken stops working with his next sign of life, and may work again in another term.
func TestRun_StopsWhenSomebodyElseHasIt(t *testing.T) {
	t.Parallel()
	s := &table{}
	var log bytes.Buffer
	a := run(t, s, &log)
	within(t, "it works", a.began)
	s.set(func() { s.row.Holder, s.row.Fence, s.row.Beat = "somebody", 7, 100 })
	within(t, "it stops", a.ended)
	within(t, "it works again, after the other was silent", a.began)
	if r := s.get(); r.Fence != 8 || a.Fence() != 8 {
		t.Errorf("%+v", r)
	}
	a.stop()
	<-a.gone
	if !bytes.Contains(log.Bytes(), []byte("lease lost")) {
		t.Error(log.String())
	}
}

// A holder who cannot show that he lives stops before others may take over, and goes on when the store is back.
func TestRun_StopsWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	s := &table{}
	a := run(t, s, nil)
	within(t, "it works", a.began)
	away := time.Now()
	s.set(func() { s.down = errors.New("away") })
	within(t, "it stops", a.ended)
	if d := time.Since(away); d < 500*time.Millisecond {
		t.Errorf("it stopped after %s: one failure is none", d)
	}
	s.set(func() { s.down = nil })
	within(t, "it works again", a.began)
}

// A holder who is turned away at one moment tries at the next one: a crowd of others does not cost him his term.
func TestRun_KeepsWhatABusyStoreOftenRefuses(t *testing.T) {
	t.Parallel()
	s := &table{busy: 4}
	a := runOver(t, s, s, 300*time.Millisecond, nil)
	within(t, "it works", a.began)
	time.Sleep(2 * time.Second)
	if len(a.ended) != 0 || s.get().Fence != 1 {
		t.Errorf("the term ended: %+v", s.get())
	}
}

// silent is a way to the table on which signs of life get no answer.
type silent struct {
	*table
	from time.Time // when answers stop
	hold chan struct{}
}

func (s *silent) Commit(ctx context.Context, u unit.Unit) error {
	if _, is := u.Writes[0].(lease.Renew); is && time.Now().After(s.from) {
		<-s.hold // whatever ctx says: it is being written
	}
	return s.table.Commit(ctx, u)
}

// Who gets no answer at all has stopped before somebody else begins.
func TestRun_StopsBeforeAnotherBeginsAlsoWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := &table{}
	way := &silent{table: s, from: time.Now().Add(300 * time.Millisecond), hold: make(chan struct{})}
	a := runOver(t, s, way, 10*time.Millisecond, nil)
	t.Cleanup(func() { close(way.hold) })
	within(t, "the first works", a.began)
	b := run(t, s, nil)
	within(t, "the second works", b.began)
	if len(a.ended) != 1 || a.Works() {
		t.Error("the first works on")
	}
}
