package shed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func requestOn(t *testing.T, k *conn) *http.Request {
	t.Helper()
	return httptest.NewRequest(http.MethodGet, "/", http.NoBody).WithContext(context.WithValue(t.Context(), connKey{}, k))
}

// A request whose connection was dropped while it arrived takes no place.
func TestPlaces_NobodyWorksForWhoIsGone(t *testing.T) {
	t.Parallel()
	c := NewConnections(Limits{Connections: 1}, func(string) {})
	p, k := c.Places(0, 2), c.admit(endless{})
	r := requestOn(t, k)
	k.since.Store(dropped)
	if err := p.Take(&Answer{}, r); !errors.Is(err, ErrGone) || p.Taken() != 0 {
		t.Errorf("%v, %d places are taken", err, p.Taken())
	}
}

// Who is told that there is no room holds nothing from then on.
func TestPlaces_WhoIsTurnedAwayHoldsNothing(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	c := NewConnections(Limits{Bytes: most}, func(string) {})
	b, k := c.admit(endless{}), c.admit(endless{})
	c.charge(b, most)
	b.since.Store(busy)
	c.charge(k, most/slack+1)
	if err := c.Places(0, 2).Take(&Answer{}, requestOn(t, k)); !errors.Is(err, ErrBusy) || k.held.Load() != 0 || k.since.Load() <= 0 {
		t.Errorf("%v, it holds %d", err, k.held.Load())
	}
}

// Who takes no answer may be dropped, and what the request holds counts until then.
func TestAnswer_WhoTakesNoneHoldsWhatWasSent(t *testing.T) {
	t.Parallel()
	c := NewConnections(Limits{}, func(string) {})
	p, k := c.Places(0, 2), c.admit(endless{})
	c.charge(k, 10_000)
	a := &Answer{ResponseWriter: httptest.NewRecorder()}
	if err := p.Take(a, requestOn(t, k)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); err != nil || c.Held() != 10_000 || p.Taken() != 0 || k.since.Load() <= 0 {
		t.Errorf("%v: %d bytes are held, %d places are taken", err, c.Held(), p.Taken())
	}
	if k.is(http.StateIdle); c.Held() != 0 {
		t.Errorf("once it is taken, %d bytes are held", c.Held())
	}
}

// Who waits for an event keeps its connection and holds nothing.
func TestAnswer_WhoOnlyWaitsHoldsNothing(t *testing.T) {
	t.Parallel()
	c := NewConnections(Limits{}, func(string) {})
	p, k := c.Places(0, 2), c.admit(endless{})
	c.charge(k, 10_000)
	a, r := &Answer{}, requestOn(t, k)
	r.Body = io.NopCloser(strings.NewReader("{}"))
	if err := p.Take(a, r); err != nil {
		t.Fatal(err)
	}
	a.Pause()
	if text, _ := Text(r); c.Held() != 0 || text != nil || k.since.Load() != busy || p.Taken() != 0 {
		t.Errorf("it holds %d bytes and %q, %d places are taken", c.Held(), text, p.Taken())
	}
	a.Resume()
	if n := p.Taken(); n != 1 {
		t.Errorf("when it goes on, %d places are taken", n)
	}
	a.Leave()
	a.Leave()
	if p.Taken() != 0 || k.since.Load() <= 0 {
		t.Errorf("afterwards %d places are taken", p.Taken())
	}
}

func TestConnections_NobodyGivesWayInVainOrForMoreThanItHolds(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	for name, s := range map[string]struct {
		busy, other, k int64
		drops          bool
	}{
		"it helps": {most - 1000, 600, 600, true}, "it would not be enough": {most, 2000, 2000, false}, "the other sent less": {most - 1000, 600, 700, false},
		"a large one": {most - 60_000, 40_000, 50_000, true}, "there is room": {most - 1200, 600, 600, false},
	} {
		c := NewConnections(Limits{Bytes: most}, func(string) {})
		b, other, k := c.admit(endless{}), c.admit(endless{}), c.admit(endless{})
		b.since.Store(busy)
		c.charge(b, s.busy)
		c.charge(other, s.other)
		if c.charge(k, s.k); (other.since.Load() == dropped) != s.drops {
			t.Errorf("%s: dropped: %v", name, !s.drops)
		}
	}
}

// Nobody whose request is whole is turned away for those that do not end, also where a look at them was put off.
func TestPlaces_WhoseRequestIsWholeIsNotTurnedAwayForOthers(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	c := NewConnections(Limits{Bytes: most}, func(string) {})
	p, slow, k := c.Places(0, 2), c.admit(endless{}), c.admit(endless{})
	c.look.Store(2 * most)
	c.charge(slow, most)
	c.charge(k, 2*most/slack)
	if err := p.Take(&Answer{}, requestOn(t, k)); err != nil || slow.since.Load() != dropped {
		t.Errorf("%v, %d bytes are held", err, c.Held())
	}
}

// Reads beyond the limit look for nothing to free each time.
func TestConnections_AByteMoreIsNoReasonToLookAgain(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	c := NewConnections(Limits{Bytes: most}, func(string) {})
	k, other := c.admit(endless{}), c.admit(endless{})
	c.charge(other, 100)
	c.charge(k, most)
	if other.since.Load() == dropped {
		t.Error("it was dropped in vain")
	}
	c.mu.Lock() // a look would wait
	for range most / slack {
		c.charge(k, 1)
	}
	c.mu.Unlock()
	before := c.look.Load()
	if c.charge(k, 1); c.look.Load() <= before {
		t.Error("it never looks again")
	}
	if k.release(); c.look.Load() != most {
		t.Error("the limit stays where it was")
	}
	c.charge(other, most) // alone they are bounded as well
	for c.held.Load() <= 2*most {
		c.charge(k, most/4)
	}
	if other.since.Load() != dropped {
		t.Error("where nothing helps, those that wait hold what they like")
	}
}
