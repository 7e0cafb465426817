package reach

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// span is a time in which something was away.
type span struct{ from, to time.Time }

// delay is how far one revocation was from its last refusal.
type delay struct {
	way  string
	took time.Duration
	away time.Duration // of that, how long the database was away
}

// delays are those of one phase.
type delays struct {
	mu   sync.Mutex
	all  []delay
	lost int     // revocations whose answer did not say that they were done
	ends []ended // whatever may never be taken again
	away []span  // of the database

}

// ended is a token that was revoked.
type ended struct{ token, path string }

func (d *delays) add(one delay, e ended) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all, d.ends = append(d.all, one), append(d.ends, e)
}

func (d *delays) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

// gone says that the database is away from now on, back that it is there.
func (d *delays) gone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = append(d.away, span{from: time.Now()})
}

func (d *delays) back() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away[len(d.away)-1].to = time.Now()
}

// overlap is how long the database was away between two times.
func (d *delays) overlap(from, to time.Time) (sum time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.away {
		begin, end := s.from, s.to
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) || end.IsZero() {
			end = to
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}

// at is the delay that so many of a hundred do not exceed, without what the database was away.
func (d *delays) at(percent int) time.Duration {
	all := make([]time.Duration, 0, len(d.all))
	for _, one := range d.all {
		all = append(all, one.took-one.away)
	}
	slices.Sort(all)
	return all[(len(all)*percent-1)/100]
}

// hold fails the test if an API was told too late. What a phase promises is a second; a machine that also runs other tests is
// allowed more at the edges, and less than what the patience of an API would give.
func (d *delays) hold(t *testing.T, phase string, least int) {
	t.Helper()
	if len(d.all) < least {
		t.Fatalf("%s: %d revocations, %d wanted", phase, len(d.all), least)
	}
	t.Logf("%-18s %5d revocations: median %v, p99 %v, max %v; %d were not answered", phase, len(d.all), short(d.at(50)), short(d.at(99)), short(d.at(100)), d.lost)
	ways := map[string]*delays{}
	for _, one := range d.all {
		if ways[one.way] == nil {
			ways[one.way] = &delays{}
		}
		ways[one.way].all = append(ways[one.way].all, one)
		if one.away > 0 {
			t.Logf("  %-22s refused after %v, of which the database was away for %v", one.way, short(one.took), short(one.away))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		w := ways[name]
		t.Logf("  %-22s %5d: median %v, p99 %v, max %v", name, len(w.all), short(w.at(50)), short(w.at(99)), short(w.at(100)))
	}
	if median, longest := d.at(50), d.at(100); median > promised || longest > allowed {
		t.Errorf("%s: half took %v, the longest %v: promised is %v", phase, median, longest, promised)
	}
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// refused asks one replica of the API for what a token gives, and reports whether it refused the token or took it; neither: it
// takes nobody.
func (c *cluster) refused(ctx context.Context, base string, e ended) (refused, taken bool) {
	a, err := c.get(ctx, base+e.path, "Authorization", "Bearer "+e.token)
	switch {
	case err != nil:
		return false, false
	case a.Status == http.StatusUnauthorized:
		if !strings.Contains(a.Header.Get("WWW-Authenticate"), "invalid_token") {
			c.Errorf("%s: %s", base, a.Header.Get("WWW-Authenticate"))
		}
		return true, false
	case a.Status == http.StatusServiceUnavailable: // it takes nobody
		if a.Header.Get("Retry-After") == "" {
			c.Errorf("%s: 503 without Retry-After", base)
		}
		return false, false
	case a.Status != http.StatusOK:
		c.Errorf("%s answers %d: %.200s", base, a.Status, a.Body)
	}
	return false, true
}

// takenEverywhere reports whether each replica of the API takes a token, and lets it remember it.
func (c *cluster) takenEverywhere(ctx context.Context, e ended) bool {
	for _, base := range c.direct {
		if _, taken := c.refused(ctx, base, e); !taken {
			return false
		}
	}
	return true
}

// lastRefusal asks every replica until each has refused, and returns when the last one did.
func (c *cluster) lastRefusal(ctx context.Context, e ended) (last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, givenUp)
	defer cancel()
	at := make([]time.Time, len(c.direct))
	var asking sync.WaitGroup
	for i, base := range c.direct {
		asking.Go(func() {
			for ctx.Err() == nil {
				if refused, _ := c.refused(ctx, base, e); refused {
					at[i] = time.Now()
					return
				}
				time.Sleep(probePause)
			}
		})
	}
	asking.Wait()
	for i, when := range at {
		if when.IsZero() {
			return last, fmt.Errorf("replica %d of the API still takes it after %v", i+1, givenUp)
		}
		if when.After(last) {
			last = when
		}
	}
	return last, nil
}

// neverAgain asks every replica about everything that was revoked.
func (c *cluster) neverAgain(d *delays) {
	c.Helper()
	for _, e := range d.ends {
		for i, base := range c.direct {
			if refused, taken := c.refused(c.Context(), base, e); !refused {
				c.Errorf("replica %d: a token that was refused before is not any more (taken: %v)", i+1, taken)
			}
		}
	}
}
