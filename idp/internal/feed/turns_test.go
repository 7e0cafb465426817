package feed

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
)

func TestTurn_OneAPITakesHalfOfTheProcessorsAndNoMoreWaitForIt(t *testing.T) {
	t.Parallel()
	f := New(newLines(), Options{Clock: clock.NewFake(begun), PerAPI: 8})
	half := max(1, runtime.GOMAXPROCS(0)/2)
	if half >= 8 {
		f.opt.PerAPI = half + 1
	}
	var ends []func()
	var waiting, waited atomic.Int64
	told := func(yes bool) {
		if yes {
			waited.Add(1)
			waiting.Add(1)
		} else {
			waiting.Add(-1)
		}
	}
	turn := func(ctx context.Context, api string) {
		t.Helper()
		done, err := f.Turn(ctx, api, told)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, done)
	}
	for range half {
		turn(t.Context(), "cases")
	}
	turn(t.Context(), "letters")
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range f.opt.PerAPI - half {
		all.Go(func() {
			if _, err := f.Turn(ctx, "cases", told); !errors.Is(err, context.Canceled) {
				t.Errorf("one whose turn did not come: %v", err)
			}
		})
	}
	queued := func(api string) int {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.turns[api] == nil {
			return 0
		}
		return f.turns[api].came
	}
	for end := time.Now().Add(5 * time.Second); queued("cases") < f.opt.PerAPI; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("they do not queue")
		}
	}
	if _, err := f.Turn(t.Context(), "cases", told); !errors.Is(err, ErrCrowded) {
		t.Errorf("one more: %v", err)
	}
	for end := time.Now().Add(5 * time.Second); waiting.Load() < int64(f.opt.PerAPI-half); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d say that they wait", waiting.Load())
		}
	}
	leave()
	all.Wait()
	if waiting.Load() != 0 || waited.Load() != int64(f.opt.PerAPI-half) {
		t.Errorf("%d waited, %d still do", waited.Load(), waiting.Load())
	}
	next := make(chan func())
	go func() {
		done, _ := f.Turn(t.Context(), "cases", told)
		next <- done
	}()
	ends[0]()
	(<-next)()
	for _, done := range ends[1:] {
		done()
	}
	if len(f.turns) != 0 {
		t.Errorf("left behind: %v", f.turns)
	}
}

// A follower is told of its waiting, and of nothing else.
func TestFollow_TellsWhenItWaits(t *testing.T) {
	t.Parallel()
	src := newLines()
	f := New(src, Options{Clock: clock.NewFake(begun)})
	src.add("letters", begun, "there")
	for _, c := range []struct {
		api    string
		wait   bool
		events string
		told   []bool
	}{{"cases", false, "", nil}, {"letters", true, "there", nil}, {"letters", false, "there", nil}, {"cases", true, "here", []bool{true, false}}} {
		var told []bool
		p, err := f.Follow(t.Context(), Ask{API: c.api, Max: 9, Wait: c.wait, Waits: func(yes bool) {
			if told = append(told, yes); yes {
				src.add("cases", begun, "here")
				f.Wake()
			}
		}})
		if err != nil || refs(p) != c.events || !slices.Equal(told, c.told) {
			t.Errorf("%s: %q, told %v, %v", c.api, refs(p), told, err)
		}
	}
}
