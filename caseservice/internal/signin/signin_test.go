package signin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/signin/issuertest"
	"ellis.example/caseservice/internal/signin/sessiontest"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const origin = "http://127.0.0.1:8082"

// world is a gate with an issuer, without the portal around it.
type world struct {
	t      *testing.T
	clock  *clock.Fake
	issuer *issuertest.Issuer
	memory *signin.Memory
	gate   *signin.Gate
	told   sync.Map // what the gate observed
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(start)}
	w.issuer = issuertest.Start(t, w.clock, origin)
	w.memory = signin.NewMemory(w.clock, 100, 100)
	w.gate = w.over(w.memory)
	return w
}

func (w *world) over(s signin.Store) *signin.Gate {
	return signin.New(signin.Config{
		Issuer: w.issuer.URL, ClientID: issuertest.ClientID, ClientSecret: issuertest.ClientSecret, Resource: issuertest.Resource,
		RedirectURI: origin + "/callback", SignedOutURI: origin + "/signed-out", Cookies: signin.NewCookies(false), Store: s, Clock: w.clock,
		Observe: func(what, outcome string) {
			n, _ := w.told.LoadOrStore(what+" "+outcome, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		},
	})
}

func (w *world) count(what string) int64 {
	n, ok := w.told.Load(what)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// carry makes the next request of a browser: it brings the cookies that the answer set.
func carry(to string, answers ...*httptest.ResponseRecorder) *http.Request {
	r := httptest.NewRequest(http.MethodGet, to, nil)
	for _, a := range answers {
		for _, c := range a.Result().Cookies() {
			r.AddCookie(c)
		}
	}
	return r
}

// signIn walks a sign-in and returns the session's visit.
func (w *world) signIn(g *signin.Gate) signin.Visit {
	w.t.Helper()
	v, _ := w.signInWith(g)
	return v
}

// signInWith is signIn that also returns the answer with the session's cookie.
func (w *world) signInWith(g *signin.Gate) (signin.Visit, *httptest.ResponseRecorder) {
	w.t.Helper()
	begun := httptest.NewRecorder()
	to, err := g.Begin(begun, httptest.NewRequest(http.MethodGet, "/signin", nil), signin.Request{ReturnTo: "/cases", Locale: "en"})
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, to, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		w.t.Fatal(err)
	}
	done := httptest.NewRecorder()
	if _, err := g.Finish(done, carry("/callback?"+back.RawQuery, begun)); err != nil {
		w.t.Fatal(err)
	}
	v, err := g.Current(carry("/cases", done))
	if err != nil {
		w.t.Fatal(err)
	}
	return v, done
}

// Of many requests at once one writes down that the person is there.
func TestCurrent_WritesASignOfLifeOnceASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cookie := ident.NewToken("eps_")
	if err := w.memory.AddSession(t.Context(), signin.Key(ident.Hash(cookie)), signin.Session{CreatedAt: start, LastSeen: start}); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/cases", nil)
	r.AddCookie(&http.Cookie{Name: signin.NewCookies(false).Name(signin.CookieSession), Value: cookie})
	for _, want := range []time.Duration{0, time.Second, time.Second, 2 * time.Second} {
		w.clock.Advance(500 * time.Millisecond)
		if v, err := w.gate.Current(r); err != nil || v.LastSeen.Sub(start) != want {
			t.Errorf("seen after %v, want %v, %v", v.LastSeen.Sub(start), want, err)
		}
	}
}

// NIST SP 800-63B-4 §5.2: that a token can be renewed says nothing of a person.
func TestAccessToken_RenewalIsNoSignOfLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.signIn(w.gate)
	for range 4 {
		w.clock.Advance(4 * time.Minute)
		if _, err := w.gate.AccessToken(t.Context(), v, v.Tokens.Access); w.clock.Now().Sub(start) < signin.IdleTimeout != (err == nil) {
			t.Fatalf("after %v: %v", w.clock.Now().Sub(start), err)
		}
		s, err := w.memory.Session(t.Context(), v.Key)
		if err == nil && !s.LastSeen.Equal(start) {
			t.Errorf("seen at %v", s.LastSeen)
		}
		v.Session = s
	}
}

func TestAccessToken_OneRenewalFor64Callers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.signIn(w.gate)
	w.clock.Advance(5 * time.Minute)
	var wg sync.WaitGroup
	tokens := make([]string, 64)
	for i := range tokens {
		wg.Go(func() {
			var err error
			if tokens[i], err = w.gate.AccessToken(context.Background(), v, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if token != tokens[0] || token == v.Tokens.Access || token == "" {
			t.Fatalf("tokens differ: %q", token)
		}
	}
	if _, n := w.issuer.Counts(); n != 1 || w.count("renewal ok") != 1 {
		t.Errorf("renewed %d times", n)
	}
}

func TestAccessToken_CallerWhoHangsUpSpoilsItForNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.signIn(w.gate)
	w.clock.Advance(5 * time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.gate.AccessToken(ctx, v, ""); err != nil {
		t.Error(err)
	}
	if _, err := w.gate.AccessToken(t.Context(), v, ""); err != nil || w.issuer.Live() != 1 {
		t.Errorf("%v, %d alive", err, w.issuer.Live())
	}
}

// leaving is a store whose session ends while its tokens are renewed.
type leaving struct {
	*signin.Memory
	gone atomic.Bool
}

func (l *leaving) UpdateSession(ctx context.Context, k signin.Key, change func(*signin.Session)) (signin.Session, error) {
	if l.gone.Load() {
		_, _ = l.EndSession(ctx, k)
	}
	return l.Memory.UpdateSession(ctx, k, change)
}

func TestAccessToken_RenewedWhileSigningOutIsWithdrawn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := &leaving{Memory: w.memory}
	g := w.over(store)
	v := w.signIn(g)
	w.clock.Advance(5 * time.Minute)
	store.gone.Store(true)
	if _, err := g.AccessToken(t.Context(), v, ""); !errors.Is(err, signin.ErrSessionEnded) {
		t.Errorf("%v", err)
	}
	if n := w.issuer.Live(); n != 0 {
		t.Errorf("%d refresh tokens are left over", n)
	}
}

// hurried is a store that notes how much time it was given to keep renewed tokens, and a renewal to get that far.
type hurried struct {
	*signin.Memory
	left, held atomic.Int64
}

func (h *hurried) HoldRenewal(ctx context.Context, k signin.Key) (func(), bool, error) {
	if end, bounded := ctx.Deadline(); bounded {
		h.held.Store(int64(time.Until(end)))
	}
	return h.Memory.HoldRenewal(ctx, k)
}

func (h *hurried) UpdateSession(ctx context.Context, k signin.Key, change func(*signin.Session)) (signin.Session, error) {
	if end, bounded := ctx.Deadline(); bounded {
		h.left.Store(int64(time.Until(end)))
	}
	return h.Memory.UpdateSession(ctx, k, change)
}

// The issuer may take nearly all the time that a renewal has: what it gave is kept all the same.
func TestAccessToken_WhatTheIssuerTookItsTimeForIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := &hurried{Memory: w.memory}
	g := w.over(store)
	v := w.signIn(g)
	w.clock.Advance(5 * time.Minute)
	if _, err := g.AccessToken(t.Context(), v, ""); err != nil {
		t.Fatal(err)
	}
	if left := time.Duration(store.left.Load()); left <= 0 || left > 3*time.Second {
		t.Errorf("%v: that is what the issuer left of its time", left)
	}
	// Nobody else may use the refresh token until this process has given up.
	if most := time.Duration(store.held.Load() + store.left.Load()); store.held.Load() <= 0 || signin.RenewalLease <= most {
		t.Errorf("a renewal takes up to %v, and is held for %v", most, signin.RenewalLease)
	}
}

// strict is a store that does nothing for those who are gone, as one in another process.
type strict struct{ *signin.Memory }

func (s strict) EndSession(ctx context.Context, k signin.Key) (signin.Session, error) {
	if err := ctx.Err(); err != nil {
		return signin.Session{}, signin.ErrUnavailable.Because(err)
	}
	return s.Memory.EndSession(ctx, k)
}

// Who closes the lid while signing out is signed out.
func TestSignOut_IsFinishedAlthoughTheBrowserIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.over(strict{w.memory})
	v, done := w.signInWith(g)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	if to, err := g.SignOut(httptest.NewRecorder(), carry("/signout", done).WithContext(ctx)); err != nil || to == "" {
		t.Errorf("%q, %v", to, err)
	}
	if _, err := w.memory.Session(t.Context(), v.Key); !errors.Is(err, signin.ErrNoSession) || w.issuer.Live() != 0 {
		t.Errorf("the session: %v; %d refresh tokens are live", err, w.issuer.Live())
	}
}

func TestBegin_UnreachableIssuerIsAskedOnceFor64People(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked atomic.Int64
	w.issuer.Misbehave(issuertest.Hooks{Down: func(string) bool { asked.Add(1); return true }})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := w.gate.Begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/signin", nil), signin.Request{})
			if !errors.Is(err, signin.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n > 2 || w.gate.Reachable() {
		t.Errorf("asked %d times, reachable: %v", n, w.gate.Reachable())
	}
}

func TestWarmUp_EndsWhenTheIssuerAnswersOrTheServiceStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gate.WarmUp(t.Context())
	if !w.gate.Reachable() || len(w.gate.Origins()) != 1 {
		t.Errorf("%q", w.gate.Origins())
	}
	other := newWorld(t)
	other.issuer.Misbehave(issuertest.Hooks{Down: func(string) bool { return true }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other.gate.WarmUp(ctx)
}

func key(i int) signin.Key { return signin.Key(ident.Hash(fmt.Sprint(i))) }

func TestContract_Memory(t *testing.T) {
	t.Parallel()
	sessiontest.Contract(t, func(_ *testing.T, c clock.Clock) signin.Store { return signin.NewMemory(c, 10, 10) })
}

func TestMemory_IsBoundedAndTheLongestUnusedMakesWay(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	m := signin.NewMemory(c, 3, 3)
	ctx := context.Background()
	add := func(i int) {
		if err := errors.Join(m.AddSession(ctx, key(i), signin.Session{CreatedAt: c.Now(), LastSeen: c.Now()}), m.SpendAttempt(ctx, key(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		add(i)
		c.Advance(time.Second)
	}
	if _, err := m.UpdateSession(ctx, key(0), func(s *signin.Session) { s.LastSeen = c.Now() }); err != nil {
		t.Fatal(err)
	}
	if _, err := m.UpdateSession(ctx, key(1), func(s *signin.Session) { s.Notice = "a renewal" }); err != nil {
		t.Fatal(err)
	}
	add(3)
	for i, want := range []bool{true, false, true, true} {
		if _, err := m.Session(ctx, key(i)); (err == nil) != want {
			t.Errorf("session %d: %v", i, err)
		}
	}
	for i := 1; i <= 3; i++ {
		if err := m.SpendAttempt(ctx, key(i)); !errors.Is(err, signin.ErrAttemptUnknown) {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	c.Advance(-time.Minute) // the clock is put right: who is there now was there last, though the mark went back
	if _, err := m.UpdateSession(ctx, key(2), func(s *signin.Session) { s.LastSeen = c.Now() }); err != nil {
		t.Fatal(err)
	}
	add(4)
	for i, want := range map[int]bool{0: false, 2: true, 3: true, 4: true} {
		if _, err := m.Session(ctx, key(i)); (err == nil) != want {
			t.Errorf("session %d after the clock was put right: %v", i, err)
		}
	}
	c.Advance(13 * time.Hour)
	add(9)
	if s, a := m.Len(); s != 1 || a != 1 {
		t.Errorf("%d sessions and %d attempts are kept", s, a)
	}
}

func TestSecrets_DoNotPrintThemselves(t *testing.T) {
	t.Parallel()
	s := signin.Session{Tokens: signin.Tokens{Access: "secret-a", Refresh: "secret-r"}, Claim: &signin.Claim{Receipt: "secret-i", Code: "secret-c"}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, s) + fmt.Sprintf(format, *s.Claim) + fmt.Sprintf(format, s.Tokens); strings.Contains(text, "secret-") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
