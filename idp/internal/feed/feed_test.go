package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
)

// lines is a store of one line name.
type lines struct {
	mu     sync.Mutex
	name   string
	events map[string][]Event
	heads  int // how often they were read
	fails  error
	slow   time.Duration // events take so long to be read
}

func (l *lines) add(api string, at time.Time, refs ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ref := range refs {
		l.events[api] = append(l.events[api], Event{API: api, Seq: int64(len(l.events[api]) + 1), Kind: Token, Ref: ref, At: at})
	}
}

func (l *lines) FeedLine(_ context.Context, api string, since time.Time) (Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := Line{Name: l.name, Last: int64(len(l.events[api]))}
	for _, e := range l.events[api] {
		if out.First == 0 && e.Ref != "" {
			out.First = e.Seq
		}
		if out.Since == 0 && e.Ref != "" && !e.At.Before(since) {
			out.Since = e.Seq
		}
	}
	return out, l.fails
}

func (l *lines) FeedEvents(_ context.Context, api string, after int64, limit int) (out []Event, err error) {
	l.mu.Lock()
	slow := l.slow
	l.mu.Unlock()
	time.Sleep(slow)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events[api] {
		if e.Seq > after && e.Ref != "" && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, l.fails
}

func (l *lines) FeedHeads(context.Context) (Heads, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads++
	h := Heads{Name: l.name, Last: map[string]int64{}}
	for api, list := range l.events {
		h.Last[api] = int64(len(list))
	}
	return h, l.fails
}

var begun = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func newLines() *lines { return &lines{name: "lin_1", events: map[string][]Event{}} }

func refs(p Page) string {
	var out []string
	for _, e := range p.Events {
		out = append(out, e.Ref)
	}
	return strings.Join(out, " ")
}

func TestFollow_GoesOnFromWhereItWas(t *testing.T) {
	t.Parallel()
	src, clk := newLines(), clock.NewFake(begun)
	f := New(src, Options{Clock: clk})
	src.add("cases", begun.Add(-time.Hour), "old")
	src.add("cases", begun.Add(-time.Minute), "a", "b", "c")
	src.add("letters", begun, "other")
	follow := func(from string, most int) Page {
		t.Helper()
		p, err := f.Follow(t.Context(), Ask{API: "cases", From: from, Max: most})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := follow("", 2)
	if refs(first) != "a b" || !first.More {
		t.Errorf("first %+v", first)
	}
	second := follow(first.Cursor, 2)
	if refs(second) != "c" || second.More {
		t.Errorf("second %+v", second)
	}
	if p := follow(second.Cursor, 2); refs(p) != "" || p.Cursor != second.Cursor || p.More {
		t.Errorf("at the end %+v", p)
	}
	if p := follow(first.Cursor, 0); refs(p) != "" || p.Cursor != first.Cursor {
		t.Errorf("asked for none %+v", p)
	}
	clk.Advance(time.Hour)
	if p := follow("", 10); refs(p) != "" || p.Cursor != second.Cursor {
		t.Errorf("begun when nothing matters any more: %+v", p)
	}
}

func TestFollow_RefusesAPlaceThatIsNotInTheLine(t *testing.T) {
	t.Parallel()
	src := newLines()
	f := New(src, Options{Clock: clock.NewFake(begun)})
	src.add("cases", begun, "", "", "c", "d") // two were swept
	for what, from := range map[string]string{
		"swept": cursor("lin_1", "cases", 1), "ahead": cursor("lin_1", "cases", 5), "of another life": cursor("lin_0", "cases", 3),
		"of another API": cursor("lin_1", "letters", 3), "no number": tag("lin_1", "cases") + ".x", "with a zero": tag("lin_1", "cases") + ".03", "below zero": tag("lin_1", "cases") + ".-1", "nonsense": "c",
	} {
		if _, err := f.Follow(t.Context(), Ask{API: "cases", From: from, Max: 1}); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for seq, want := range map[int64]string{2: "c d", 3: "d", 4: ""} {
		if p, err := f.Follow(t.Context(), Ask{API: "cases", From: cursor("lin_1", "cases", seq), Max: 9}); err != nil || refs(p) != want {
			t.Errorf("from %d: %+v, %v", seq, p, err)
		}
	}
	src.events = map[string][]Event{"cases": {{Seq: 1}, {Seq: 2}}} // all were
	if _, err := f.Follow(t.Context(), Ask{API: "cases", From: cursor("lin_1", "cases", 1), Max: 9}); !errors.Is(err, ErrCursor) {
		t.Errorf("all swept: %v", err)
	}
	if _, err := f.Follow(t.Context(), Ask{API: "cases", From: cursor("lin_1", "cases", 2), Max: 9}); err != nil {
		t.Errorf("all swept, at the end: %v", err)
	}
}

type heard struct {
	Page
	err  error
	took time.Duration
}

// waiting begins to wait and returns where the answer will come.
func waiting(ctx context.Context, t *testing.T, f *Feed, api string) <-chan heard {
	t.Helper()
	before, out := f.Waiting(), make(chan heard, 1)
	go func() {
		began := time.Now()
		p, err := f.Follow(ctx, Ask{API: api, Max: 9, Wait: true})
		out <- heard{p, err, time.Since(began)}
	}()
	for end := time.Now().Add(5 * time.Second); f.Waiting() <= before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not wait")
		}
	}
	return out
}

func TestFollow_WaitsUntilThereIsSomething(t *testing.T) {
	t.Parallel()
	src := newLines()
	f := New(src, Options{Clock: clock.NewFake(begun)})
	mine, other := waiting(t.Context(), t, f, "cases"), waiting(t.Context(), t, f, "letters")
	src.add("cases", begun, "here")
	f.Wake()
	if h := <-mine; refs(h.Page) != "here" || h.err != nil || h.took > time.Second {
		t.Errorf("committed here: %+v", h)
	}
	mine = waiting(t.Context(), t, f, "sums")
	src.add("sums", begun, "there") // by another replica: nobody wakes us
	if h := <-mine; refs(h.Page) != "there" || h.err != nil || h.took > time.Second {
		t.Errorf("committed elsewhere: %+v", h)
	}
	if h := <-other; refs(h.Page) != "" || h.err != nil || h.took < Hold || h.Cursor == "" {
		t.Errorf("nothing happened: %+v", h)
	}
}

// What an answer says was read when it began to be: a follower can tell how old it is.
func TestFollow_SaysHowLongItWaitedBeforeItRead(t *testing.T) {
	t.Parallel()
	src := newLines()
	f := New(src, Options{Clock: clock.System{}})
	if p, err := f.Follow(t.Context(), Ask{API: "cases", Max: 1}); err != nil || p.Held < 0 || p.Held > time.Second {
		t.Errorf("at once: %v, %v", p.Held, err)
	}
	mine, idle := waiting(t.Context(), t, f, "cases"), waiting(t.Context(), t, f, "letters")
	time.Sleep(300 * time.Millisecond)
	src.mu.Lock() // a read takes a while, and its answer is as old as its beginning
	src.slow = 400 * time.Millisecond
	src.mu.Unlock()
	src.add("cases", begun, "here")
	f.Wake()
	if h := <-mine; refs(h.Page) != "here" || h.Held < 250*time.Millisecond || h.Held > h.took-src.slow {
		t.Errorf("held for %v of %v", h.Held, h.took)
	}
	if h := <-idle; h.Held < Hold-100*time.Millisecond || h.Held > h.took-src.slow {
		t.Errorf("nothing happened: held for %v of %v", h.Held, h.took)
	}
}

func TestFollow_ManyWaitWithOneReader(t *testing.T) {
	t.Parallel()
	src := newLines()
	f := New(src, Options{Clock: clock.NewFake(begun), PerAPI: 3, Total: 5})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var list []<-chan heard
	for _, api := range []string{"a", "a", "a", "b"} {
		list = append(list, waiting(ctx, t, f, api))
	}
	if _, err := f.Follow(ctx, Ask{API: "a", Max: 1, Wait: true}); !errors.Is(err, ErrCrowded) {
		t.Errorf("a fourth of one API: %v", err)
	}
	list = append(list, waiting(ctx, t, f, "c"))
	if _, err := f.Follow(ctx, Ask{API: "b", Max: 1, Wait: true}); !errors.Is(err, ErrFull) {
		t.Errorf("a sixth: %v", err)
	}
	list = append(list, waiting(ctx, t, f, "d")) // the first of an API: the others do not keep it out
	if _, err := f.Follow(ctx, Ask{API: "d", Max: 1, Wait: true}); !errors.Is(err, ErrFull) {
		t.Errorf("its second: %v", err)
	}
	if _, err := f.Follow(ctx, Ask{API: "d", Max: 1}); err != nil {
		t.Errorf("one that does not wait: %v", err)
	}
	time.Sleep(3 * Look)
	src.mu.Lock()
	if src.heads > 6 {
		t.Errorf("%d looks in %v", src.heads, 3*Look)
	}
	src.mu.Unlock()
	leave()
	for _, l := range list {
		if h := <-l; !errors.Is(h.err, context.Canceled) {
			t.Errorf("who hung up got %+v", h)
		}
	}
	if f.Waiting() != 0 || len(f.perAPI) != 0 {
		t.Errorf("left behind: %d, %v", f.Waiting(), f.perAPI)
	}
	for end := time.Now().Add(5 * time.Second); !f.idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("somebody looks though nobody waits")
		}
	}
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(5 * time.Second); strings.Contains(string(buf[:runtime.Stack(buf, true)]), fmt.Sprintf("(*Feed).look(%p", f)); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the reader did not end")
		}
	}
	next := waiting(t.Context(), t, f, "a")
	src.add("a", begun, "again")
	if h := <-next; refs(h.Page) != "again" {
		t.Errorf("the next who waits: %+v", h)
	}
}

func TestFollow_NobodyWaitsInAProcessThatEnds(t *testing.T) {
	t.Parallel()
	src, closing := newLines(), make(chan struct{})
	f := New(src, Options{Clock: clock.NewFake(begun), Closing: closing})
	before := waiting(t.Context(), t, f, "cases")
	src.mu.Lock() // nobody has looked since
	src.events["cases"] = []Event{{API: "cases", Seq: 1, Kind: Token, Ref: "last", At: begun}}
	close(closing)
	src.mu.Unlock()
	if h := <-before; h.err != nil || refs(h.Page) != "last" || h.took >= Hold {
		t.Errorf("who waited: %+v", h)
	}
	began := time.Now()
	if p, err := f.Follow(t.Context(), Ask{API: "letters", Max: 1, Wait: true}); err != nil || p.Cursor == "" || time.Since(began) >= Hold {
		t.Errorf("who came then: %+v, %v", p, err)
	}
}

func TestFollow_AStoreThatFailsDoesNotMeanThatNothingHappened(t *testing.T) {
	t.Parallel()
	src, down := newLines(), errors.New("the database is away")
	f := New(src, Options{Clock: clock.NewFake(begun)})
	h := waiting(t.Context(), t, f, "cases")
	src.mu.Lock()
	src.fails = down
	src.mu.Unlock()
	if got := <-h; !errors.Is(got.err, down) {
		t.Errorf("who waited heard %+v", got)
	}
}

func TestFollow_AnotherLifeOfTheLineWakesEverybody(t *testing.T) {
	t.Parallel()
	src := newLines()
	f := New(src, Options{Clock: clock.NewFake(begun)})
	h := waiting(t.Context(), t, f, "cases")
	src.mu.Lock()
	src.name = "lin_2"
	src.events["cases"] = []Event{{API: "cases", Seq: 1, Kind: Epoch, Ref: "2", At: begun}}
	src.mu.Unlock()
	got := <-h
	if refs(got.Page) != "2" || got.took > time.Second {
		t.Fatalf("heard %+v", got)
	}
	if _, err := f.Follow(t.Context(), Ask{API: "cases", From: got.Cursor, Max: 1}); !errors.Is(err, ErrCursor) {
		t.Errorf("going on: %v", err)
	}
}

// named stands in for the keyring: it says what it was asked.
type named struct{}

func (named) Pairwise(kind, audience, internal string) string {
	return kind + "|" + audience + "|" + internal
}

func TestClaims_NameEverythingAsTheAPIKnowsIt(t *testing.T) {
	t.Parallel()
	at := begun.Add(1500 * time.Millisecond)
	for kind, want := range map[Kind]string{
		Session: "sid|api:cases|x", Grant: "txn|api:cases|x", Account: "api|cases|x", Token: "x", Client: "x", Key: "x", Epoch: "x",
	} {
		c := Event{API: "cases", Seq: 7, Kind: kind, Ref: "x", At: at}.Claims(named{}, "https://id.example", "https://cases.example", "lin", at.Add(time.Hour))
		if c.Subject != (Subject{"opaque", want}) || c.JTI != "set|api:cases|lin\x007" || c.Issuer != "https://id.example" || c.Audience != "https://cases.example" {
			t.Errorf("%s: %+v", kind, c)
		}
		if c.Occurred != float64(begun.Unix())+1.5 || c.Issued != at.Add(time.Hour).Unix() {
			t.Errorf("%s: times %+v", kind, c)
		}
		// Rounded up: a token of the same second is void too.
		if facts := slices.Collect(maps.Values(c.Events)); len(facts) != 1 || facts[0].At != begun.Unix()+2 || types[kind] == "" || c.Events[types[kind]] != facts[0] {
			t.Errorf("%s: %+v", kind, c.Events)
		}
	}
	if c := (Event{Kind: Account, At: begun}).Claims(named{}, "", "", "", begun); c.Events[types[Account]].At != begun.Unix() {
		t.Errorf("a whole second: %+v", c.Events)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("abc.1")
	f.Add(cursor("lin", "cases", 3))
	f.Fuzz(func(t *testing.T, text string) {
		if seq, ok := place("lin", "cases", text); ok && (seq < 0 || cursor("lin", "cases", seq) != text) {
			t.Errorf("%q reads as %d", text, seq)
		}
	})
}
