package portal_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/rate"
	"ellis.example/caseservice/internal/signin"
)

// away is a store that can be away. What reaches it then is not done.
type away struct {
	*signin.Memory
	now atomic.Bool
}

func (a *away) gone() error {
	if a.now.Load() {
		return signin.ErrUnavailable.After(2 * time.Second)
	}
	return nil
}

func (a *away) UpdateSession(ctx context.Context, k signin.Key, change func(*signin.Session)) (signin.Session, error) {
	if err := a.gone(); err != nil {
		return signin.Session{}, err
	}
	return a.Memory.UpdateSession(ctx, k, change)
}

func (a *away) EndSession(ctx context.Context, k signin.Key) (signin.Session, error) {
	if err := a.gone(); err != nil {
		return signin.Session{}, err
	}
	return a.Memory.EndSession(ctx, k)
}

func (a *away) Count(ctx context.Context, k signin.Key, limit rate.Limit) (time.Duration, error) {
	if err := a.gone(); err != nil {
		return 0, err
	}
	return a.Memory.Count(ctx, k, limit)
}

func newAway(t *testing.T) (*world, *away) {
	t.Helper()
	store := &away{}
	return newWorldOver(t, func(*portal.Config) {}, func(w *world) []signin.Store { store.Memory = w.memory; return []signin.Store{store} }), store
}

// Whoever sits down at that computer next would go on in the session.
func TestSignOut_NobodyIsToldThatTheyAreSignedOutWhileTheSessionMayLive(t *testing.T) {
	t.Parallel()
	w, store := newAway(t)
	b := w.browser()
	b.signIn()
	form, cookie := b.get("/cases").form(t, "/signout"), b.cookie("portal_session")
	uncertain := func(path string, p page) {
		t.Helper()
		if p.at() != path || p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") != "2" || !strings.Contains(p.body, "still be signed in") || !strings.Contains(p.body, `href="/signout"`) ||
			!strings.Contains(p.body, ">Sign out again<") || p.form(t, "/language").Get("back") != "/signout" {
			t.Errorf("%s: %d at %s, Retry-After %q\n%s", path, p.status, p.at(), p.header.Get("Retry-After"), p.body)
		}
		if b.cookie("portal_session") != cookie {
			t.Errorf("%s: the browser cannot sign out again", path)
		}
	}
	store.now.Store(true)
	uncertain("/signout", b.post("/signout", form))
	uncertain("/signout", b.get("/signout")) // the way on that this names
	uncertain("/signed-out", b.get("/signed-out"))
	store.now.Store(false)
	if p := b.submit(b.get("/signout"), "/signout"); p.status != http.StatusOK || p.url.Path != "/signed-out" {
		t.Errorf("when the store is back: %d at %s", p.status, p.at())
	}
	b.setCookie("portal_session", cookie)
	if p := b.get("/cases"); p.status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %d", p.status)
	}
}

// Nothing is spent while the store is away: the browser's address bar holds an answer that still counts.
func TestAttempt_IsKeptWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w, store := newAway(t)
	b := w.browser()
	u := b.answer().String()
	store.now.Store(true)
	for range 2 {
		if p := b.step(u); p.status != http.StatusServiceUnavailable || len(b.attempts()) != 1 {
			t.Errorf("%d, %d attempts are under way", p.status, len(b.attempts()))
		}
	}
	store.now.Store(false)
	if p := b.step(u); p.status != http.StatusSeeOther || b.cookie("portal_session") == "" {
		t.Errorf("when the store is back: %d %s", p.status, p.body)
	}
	if n := len(b.attempts()); n != 0 {
		t.Errorf("%d attempts are under way after it", n)
	}
}

// A clock that was an hour fast wrote down signs of life that lie ahead.
func TestSession_EndsInTimeAfterAClockWasPutRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.signIn()
	w.clock.Advance(-time.Hour)
	if p := b.get("/help"); p.status != http.StatusOK || !strings.Contains(p.body, `action="/signout"`) { // needs no token
		t.Fatalf("%d %s", p.status, p.body)
	}
	w.clock.Advance(signin.IdleTimeout)
	if p := b.get("/cases"); p.status != http.StatusUnauthorized {
		t.Errorf("idle for 15 minutes by the clock that is right: %d", p.status)
	}
}
