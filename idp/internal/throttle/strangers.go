package throttle

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/unit"
)

const (
	strangerShards = 16
	// strangersKept bounds the networks that are told apart at a time: with it, the events that strangers cause in a minute.
	strangersKept = 256
	// strangerEvery is how often one network, or one client, may cause one kind of event.
	strangerEvery = time.Minute
)

// Strangers records refusals of requests that name nobody we know, or that were not looked at: anybody can cause any number
// of them, and each would be kept for ever. The first of a network is an event; those of the next minute are counted, and
// become one more event that says how many. So is it with what a client that is known can repeat at no cost.
type Strangers struct {
	commit  unit.Committer
	clk     clock.Clock
	log     *slog.Logger
	observe func(what string)
	seed    maphash.Seed
	sh      [strangerShards]strangerShard
}

type strangerShard struct {
	mu       sync.Mutex
	m        map[strangerKey]*tally
	networks int // tallies of no client: clients are no more than are registered
}

// strangerKey tells tallies apart: by network, or by client and reason. One with neither stands for all that there was no room
// for.
type strangerKey struct{ kind, network, client, reason string }

// tally is what was refused since the last event.
type tally struct {
	at   time.Time // of the last event
	n    int
	last audit.Event // without what only one of them said
}

// NewStrangers returns the record of strangers. observe is told the type of every event, recorded or only counted.
func NewStrangers(c unit.Committer, clk clock.Clock, log *slog.Logger, observe func(what string)) *Strangers {
	s := &Strangers{commit: c, clk: clk, log: log, observe: observe, seed: maphash.MakeSeed()}
	for i := range s.sh {
		s.sh[i].m = map[strangerKey]*tally{}
	}
	return s
}

// Refused records or counts one refusal, by its network. Errors: those of the store.
func (s *Strangers) Refused(ctx context.Context, e audit.Event) error {
	return s.record(ctx, strangerKey{kind: e.Type, network: network(e.IP)}, e)
}

// Repeated records or counts one refusal of a client that is known, by the reason. Errors: those of the store.
func (s *Strangers) Repeated(ctx context.Context, e audit.Event) error {
	return s.record(ctx, strangerKey{kind: e.Type, client: e.Client, reason: e.Reason}, e)
}

func (s *Strangers) record(ctx context.Context, k strangerKey, e audit.Event) error {
	s.observe(e.Type)
	sh := &s.sh[maphash.Comparable(s.seed, k)%strangerShards]
	k, n, due := sh.count(k, e, s.clk.Now())
	if !due {
		return nil
	}
	if n > 1 {
		e = k.sum(e, n)
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "stranger refused", slog.String("type", e.Type), slog.String("reason", e.Reason), slog.String("network", k.network), slog.String("client_id", k.client), slog.Int("count", n))
	if err := s.commit.Commit(ctx, unit.Unit{Event: e}); err != nil {
		sh.giveBack(k, n)
		return err
	}
	return nil
}

// count adds one refusal to the tally that is for it, and reports whether an event is due and for how many.
func (sh *strangerShard) count(k strangerKey, e audit.Event, now time.Time) (counted strangerKey, n int, due bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.m[k]
	if t == nil && k.client == "" && sh.networks >= strangersKept/strangerShards {
		sh.forget(now)
		if sh.networks >= strangersKept/strangerShards {
			k = strangerKey{kind: k.kind}
			t = sh.m[k]
		}
	}
	if t == nil {
		t = &tally{}
		sh.m[k] = t
		if k.client == "" {
			sh.networks++
		}
	}
	t.n++
	t.last = audit.Event{Type: e.Type, Outcome: e.Outcome, Reason: e.Reason, IP: e.IP, Request: e.Request, Client: k.client}
	if k.client != "" {
		t.last.Actor = e.Actor
	}
	if since := now.Sub(t.at); !t.at.IsZero() && since >= 0 && since < strangerEvery {
		return k, t.n, false
	}
	n, t.n, t.at = t.n, 0, now
	return k, n, true
}

// forget drops the tallies that say nothing any more.
func (sh *strangerShard) forget(now time.Time) {
	for k, t := range sh.m {
		if t.n == 0 && now.Sub(t.at) >= strangerEvery {
			delete(sh.m, k)
			if k.client == "" {
				sh.networks--
			}
		}
	}
}

func (sh *strangerShard) giveBack(k strangerKey, n int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if t := sh.m[k]; t != nil {
		t.n, t.at = t.n+n, time.Time{}
	}
}

// sum makes e the event of n refusals.
func (k strangerKey) sum(e audit.Event, n int) audit.Event {
	e.Detail = map[string]string{"count": strconv.Itoa(n)}
	switch {
	case k.network != "":
		e.Detail["network"] = k.network
	case k.client == "":
		e.Detail["network"], e.Client, e.Actor = "others", "", ""
	}
	return e
}

// Flush records what was counted in minutes that are over.
func (s *Strangers) Flush(ctx context.Context) error { return s.flush(ctx, strangerEvery) }

// Finish records everything that was counted: the process ends.
func (s *Strangers) Finish(ctx context.Context) error { return s.flush(ctx, 0) }

func (s *Strangers) flush(ctx context.Context, after time.Duration) error {
	var all error
	for i := range s.sh {
		for k, t := range s.sh[i].over(s.clk.Now(), after) {
			if err := s.commit.Commit(ctx, unit.Unit{Event: k.sum(t.last, t.n)}); err != nil {
				s.sh[i].giveBack(k, t.n)
				all = errors.Join(all, err)
			}
		}
	}
	return all
}

// over takes the tallies whose last event is so long ago; those that counted something begin another minute.
func (sh *strangerShard) over(now time.Time, after time.Duration) map[strangerKey]tally {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.forget(now)
	out := map[strangerKey]tally{}
	for k, t := range sh.m {
		if t.n > 0 && now.Sub(t.at) >= after {
			out[k] = *t
			t.n, t.at = 0, now
		}
	}
	return out
}
