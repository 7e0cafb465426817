package sessiontest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/rate"
	"ellis.example/caseservice/internal/signin"
)

// Racers is how many goroutines fight for what one of them may have.
const Racers = 64

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Contract checks a store. open returns a fresh one that goes by the clock.
func Contract(t *testing.T, open func(*testing.T, clock.Clock) signin.Store) {
	for name, check := range map[string]func(*testing.T, signin.Store, *clock.Fake){
		"a session comes back as it was": comesBack, "one of many takes": oneTakes, "of many updates none is lost": noneLost,
		"a session that ended says for a while whose it was": saysWhose, "an attempt is spent for its life": spentForLife, "one process renews": oneRenews, "requests are counted": counted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := clock.NewFake(start)
			check(t, open(t, clk), clk)
		})
	}
}

func key(i int) signin.Key { return signin.Key(ident.Hash(fmt.Sprint(i))) }

func session() signin.Session {
	return signin.Session{
		ID: "pse_1", Issuer: "https://id.example", Subject: "sub", SID: "sid", ACR: "2", AuthTime: start, CreatedAt: start, LastSeen: start,
		Tokens: signin.Tokens{Access: "a.b.c", AccessExpires: start.Add(5 * time.Minute), Refresh: "r<&>"},
		Claim:  &signin.Claim{Owner: "sub", Receipt: "IOE1", Code: "c", Key: "k"}, Notice: "claimed",
	}
}

func add(t *testing.T, s signin.Store, k signin.Key) {
	t.Helper()
	if err := s.AddSession(t.Context(), k, session()); err != nil {
		t.Fatal(err)
	}
}

func comesBack(t *testing.T, s signin.Store, _ *clock.Fake) {
	if _, err := s.Session(t.Context(), key(1)); !errors.Is(err, signin.ErrNoSession) {
		t.Fatal(err)
	}
	add(t, s, key(1))
	for _, read := range []func() (signin.Session, error){
		func() (signin.Session, error) { return s.Session(t.Context(), key(1)) },
		func() (signin.Session, error) {
			return s.UpdateSession(t.Context(), key(1), func(*signin.Session) {})
		},
		func() (signin.Session, error) { return s.EndSession(t.Context(), key(1)) },
	} {
		if got, err := read(); err != nil || !reflect.DeepEqual(got, session()) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for _, gone := range []func() (signin.Session, error){
		func() (signin.Session, error) { return s.Session(t.Context(), key(1)) },
		func() (signin.Session, error) {
			return s.UpdateSession(t.Context(), key(1), func(*signin.Session) { t.Error("a session that is gone was changed") })
		},
		func() (signin.Session, error) { return s.EndSession(t.Context(), key(2)) },
	} {
		if _, err := gone(); !errors.Is(err, signin.ErrNoSession) {
			t.Error(err)
		}
	}
	if again, err := s.EndSession(t.Context(), key(1)); !errors.Is(err, signin.ErrNoSession) && (err != nil || !reflect.DeepEqual(again, session())) {
		t.Errorf("ended again: %+v, %v", again, err)
	}
}

func oneTakes(t *testing.T, s signin.Store, _ *clock.Fake) {
	add(t, s, key(1))
	var attempts, sessions atomic.Int64
	together(func() {
		if err := s.SpendAttempt(t.Context(), key(1)); err == nil {
			attempts.Add(1)
		} else if !errors.Is(err, signin.ErrAttemptUnknown) {
			t.Error(err)
		}
		if _, err := s.EndSession(t.Context(), key(1)); err == nil {
			sessions.Add(1)
		} else if !errors.Is(err, signin.ErrNoSession) {
			t.Error(err)
		}
	})
	if attempts.Load() != 1 || sessions.Load() < 1 {
		t.Errorf("%d took the attempt, %d ended the session", attempts.Load(), sessions.Load())
	}
}

// together runs f from Racers goroutines.
func together(f func()) { beside(Racers, f) }

func beside(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

func noneLost(t *testing.T, s signin.Store, _ *clock.Fake) {
	const n = Racers / 4 // each round has one winner, and the last has to win within the time that a store is given
	add(t, s, key(1))
	beside(n, func() {
		if _, err := s.UpdateSession(t.Context(), key(1), func(s *signin.Session) { s.Notice += "x" }); err != nil {
			t.Error(err)
		}
	})
	if got, err := s.Session(t.Context(), key(1)); err != nil || len(got.Notice) != len("claimed")+n {
		t.Errorf("%d of %d, %v", len(got.Notice)-len("claimed"), n, err)
	}
}

func saysWhose(t *testing.T, s signin.Store, clk *clock.Fake) {
	add(t, s, key(1))
	clk.Advance(signin.IdleTimeout + signin.AttemptLifetime - time.Second)
	if got, err := s.Session(t.Context(), key(1)); err != nil || got.Alive(clk.Now()) || got.Subject != "sub" {
		t.Errorf("%+v, %v", got, err)
	}
	clk.Advance(2 * time.Second)
	add(t, s, key(2)) // a store may clear up when something comes
	if _, err := s.Session(t.Context(), key(1)); !errors.Is(err, signin.ErrNoSession) {
		t.Error("it is there for ever:", err)
	}
}

func spentForLife(t *testing.T, s signin.Store, clk *clock.Fake) {
	if err := s.SpendAttempt(t.Context(), key(1)); err != nil {
		t.Fatal(err)
	}
	clk.Advance(signin.AttemptLifetime - time.Second)
	if err := s.SpendAttempt(t.Context(), key(1)); !errors.Is(err, signin.ErrAttemptUnknown) {
		t.Error("spent twice:", err)
	}
	if err := s.SpendAttempt(t.Context(), key(2)); err != nil {
		t.Error("another one:", err)
	}
}

func oneRenews(t *testing.T, s signin.Store, _ *clock.Fake) {
	for range 3 {
		var held atomic.Int64
		var release func()
		together(func() {
			r, ok, err := s.HoldRenewal(t.Context(), key(1))
			if err != nil {
				t.Error(err)
			}
			if ok {
				held.Add(1)
				release = r
			}
		})
		if held.Load() != 1 {
			t.Fatalf("%d renew", held.Load())
		}
		if other, ok, err := s.HoldRenewal(t.Context(), key(2)); err != nil || !ok {
			t.Fatal("another session waits:", err)
		} else {
			other()
		}
		release()
	}
}

func counted(t *testing.T, s signin.Store, clk *clock.Fake) {
	l := rate.Limit{Every: time.Second, Burst: Racers / 4}
	var passed atomic.Int64
	together(func() {
		wait, err := s.Count(t.Context(), key(1), l)
		switch {
		case err != nil:
			t.Error(err)
		case wait == 0:
			passed.Add(1)
		case wait != time.Second:
			t.Errorf("wait %v", wait)
		}
	})
	if passed.Load() != Racers/4 {
		t.Errorf("%d passed", passed.Load())
	}
	clk.Advance(time.Second)
	for i, want := range []bool{true, false} {
		if wait, err := s.Count(t.Context(), key(1), l); (wait == 0) != want || err != nil {
			t.Errorf("%d: %v, %v", i, wait, err)
		}
	}
	if wait, err := s.Count(t.Context(), key(2), l); wait != 0 || err != nil {
		t.Errorf("another one waits %v, %v", wait, err)
	}
}
