package feed_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestIntrospection_IsOneQuestionForManyRequestsAndRememberedForASecond(t *testing.T) {
	t.Parallel()
	f := idle(t) // never fresh
	token, text := f.token(f.issuer.Person("p1", "cases:read"))
	ask := func() string { return verdict(f.Check(t.Context(), token, text)) }
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { f.want("ok", ask()) })
	}
	wg.Wait()
	if n := f.issuer.Asked(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	f.issuer.Deactivate(token.JTI)
	f.clock.Advance(time.Second)
	f.want("ok", ask())
	f.clock.Advance(time.Millisecond)
	f.want("revoked", ask())
	if n := f.issuer.Asked(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	f.clock.Advance(-time.Hour) // an answer out of the future is none
	f.want("revoked", ask())
	if n := f.issuer.Asked(); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

func TestIntrospection_AnAnswerThatDoesNotSayActiveLetsNobodyIn(t *testing.T) {
	t.Parallel()
	f := idle(t)
	for body, want := range map[string]string{
		`{"active":true}`: "ok", `{"active":false}`: "revoked", `{"active":"true"}`: "unknown", `{"active":1}`: "unknown", `{"active":null}`: "unknown",
		`{}`: "unknown", `[]`: "unknown", ``: "unknown", `{"active":false,"active":true}`: "unknown", `{"Active":true}`: "unknown", `{"active":true}x`: "unknown",
	} {
		for status, kind := range map[int]string{200: "application/json", 500: "application/json", 201: "application/json", 203: "text/html", 302: "application/json"} {
			f.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/introspect" {
					return false
				}
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return true
			})
			expected := want
			if status != 200 {
				expected = "unknown"
			}
			if got := f.check(); got != expected {
				t.Errorf("%d %s: %s", status, body, got)
			}
		}
	}
}

func TestIntrospection_AsksNoMoreThanAFewAtOnceAndEndsInTime(t *testing.T) {
	t.Parallel()
	f := idle(t)
	f.want("ok", f.check()) // the metadata are there
	var now, most atomic.Int64
	f.issuer.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/introspect" {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see who hangs up
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-r.Context().Done()
		now.Add(-1)
		return true
	})
	began := time.Now()
	var wg sync.WaitGroup
	for n := range 200 { // the issuer sees an end later than we do: a few overlap
		wg.Go(func() { f.want("unknown", f.check("jti", fmt.Sprint("j", n))) })
	}
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second || most.Load() > 32 || most.Load() < 2 {
		t.Errorf("after %v, %d at once", took, most.Load())
	}
}

func TestIntrospection_WhoHangsUpSpoilsItForNobody(t *testing.T) {
	t.Parallel()
	f := idle(t)
	f.issuer.Slow(100 * time.Millisecond)
	token, text := f.token(f.issuer.Person("p1", "cases:read"))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.want("unknown", verdict(f.Check(ctx, token, text))) })
	wg.Go(func() { time.Sleep(10 * time.Millisecond); f.want("ok", verdict(f.Check(t.Context(), token, text))) })
	time.Sleep(30 * time.Millisecond)
	cancel()
	wg.Wait()
	if n := f.issuer.Asked(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestIntrospection_AFloodOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	f := idle(t)
	f.want("ok", f.check())
	hold := make(chan struct{})
	f.issuer.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/introspect" {
			<-hold
		}
		return false
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() { cancel(); close(hold); wg.Wait() }() // also when the test fails: the issuer ends when nobody asks it any more
	base, text := f.token(f.issuer.Person("p1", "cases:read"))
	for n := range 4096 {
		one := *base
		one.Sum[0], one.Sum[1], one.Sum[2] = byte(n), byte(n>>8), base.Sum[2]+1
		wg.Go(func() { _ = f.Check(ctx, &one, text) })
	}
	f.until("all of them wait", func() bool { return f.Waiting() >= 4095 })
	began := time.Now()
	f.want("unknown", verdict(f.Check(t.Context(), base, text)))
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("it waited %v", took)
	}
}
