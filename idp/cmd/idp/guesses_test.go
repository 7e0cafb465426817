package main

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/throttle"
)

// The limits of wrong passwords for one account, for browsers that nobody knows.
const (
	atOnce = 5  // before there is a delay
	inAll  = 90 // before nothing is verified any more
)

// byPasswordsAlone leaves the limit of an account's guesses as the only one.
func byPasswordsAlone(s *settings) { s.limits = throttle.Limits{} }

// guesses sends n sign-in forms at once and counts the answers by their status. A wrong password that was verified is 422,
// one that was not is 429. It returns how long the last of these says to wait.
func (w *peopleWorld) guesses(n int, send func(i int) *page) (got map[int]int, wait time.Duration) {
	w.Helper()
	var mu sync.Mutex
	got = map[int]int{}
	peopleRace(n, func(i int) {
		p := send(i)
		mu.Lock()
		defer mu.Unlock()
		got[p.status]++
		if s, err := strconv.Atoi(p.header.Get("Retry-After")); err == nil && p.status == http.StatusTooManyRequests {
			wait = time.Duration(s) * time.Second
		}
	})
	return got, wait
}

// wrongly sends a form with a wrong password, another at each i.
func wrongly(b *browser, to string, v url.Values, i int) *page {
	form := url.Values{"csrf_token": v["csrf_token"], "identifier": v["identifier"], "password": {"wrong password number " + strconv.Itoa(i)}}
	return b.once(http.MethodPost, to, form)
}

// However many guess at once, at whichever replica, the limit counts exactly: at one instant, and in all.
func TestAttack_F08_NoMoreGuessesAreVerifiedThanTheLimit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.people(t, byPasswordsAlone)
		b := w.browser()
		to, v := b.get("/signin").filled("identifier", ana, "password", "")
		got, wait := w.guesses(500, func(i int) *page { return wrongly(b, to, v, i) })
		verified := got[http.StatusUnprocessableEntity]
		if verified != atOnce || verified+got[http.StatusTooManyRequests]+got[http.StatusServiceUnavailable] != 500 {
			t.Errorf("500 guesses at one instant were answered %v", got)
		}
		v.Set("password", pass)
		if p := b.once(http.MethodPost, to, v); p.status != http.StatusTooManyRequests || b.isIn() {
			t.Errorf("the right password after the limit: %d", p.status)
		}
		for round := 0; verified < inAll && round < 2*inAll; round++ {
			w.clock.Advance(wait)
			to, v = b.get("/signin").filled("identifier", ana, "password", "")
			got, wait = w.guesses(2, func(i int) *page { return wrongly(b, to, v, i) })
			if got[http.StatusUnprocessableEntity] > 1 {
				t.Fatalf("after a wait, guesses at one instant were answered %v", got)
			}
			verified += got[http.StatusUnprocessableEntity]
		}
		for _, later := range []time.Duration{time.Hour, 29 * 24 * time.Hour, 365 * 24 * time.Hour} {
			w.clock.Advance(later)
			to, v = b.get("/signin").filled("identifier", ana, "password", pass)
			if p := b.once(http.MethodPost, to, v); p.status != http.StatusTooManyRequests {
				t.Errorf("%d guesses were verified, and %v later another: %d", verified, later, p.status)
			}
		}
		if verified != inAll {
			t.Errorf("%d guesses were verified in all, want %d", verified, inAll)
		}
	})
}

// A Redis that forgets, or comes back as it was, gives nobody another guess: what it counts is not what limits them.
func TestAttack_F08_ALossOfRedisGivesNobodyAnotherGuess(t *testing.T) {
	t.Parallel()
	w := newPair(t)
	b := w.browser()
	to, v := b.get("/signin").filled("identifier", ana, "password", "")
	old := w.snapshot()
	const many = 500
	over, left := make(chan struct{}), sync.WaitGroup{}
	left.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				w.comesBack(old)
			}
		}
	})
	got, _ := w.guesses(many, func(i int) *page { return wrongly(b, to, v, i) })
	close(over)
	left.Wait()
	w.comesBack(old)
	verified := got[http.StatusUnprocessableEntity]
	if verified > atOnce {
		t.Fatalf("%d guesses while Redis lost everything again and again were answered %v", many, got)
	}
	for i := range atOnce + 1 { // flows that were lost may have kept some from being verified
		if wrongly(b, to, v, many+i).status == http.StatusUnprocessableEntity {
			verified++
		}
	}
	if verified != atOnce {
		t.Errorf("%d guesses were verified at one instant, want %d; during the losses %v", verified, atOnce, got)
	}
}
