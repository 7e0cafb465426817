package issuer_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"ellis.example/caseservice/internal/issuer"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A fetch goes by the transport that was given, within the trace of the request that caused it, and not with its end.
func TestIssuer_FetchesWithinTheRequestThatCausedIt(t *testing.T) {
	t.Parallel()
	type trace struct{}
	began, gone := make(chan any), make(chan error)
	var asked atomic.Bool
	i := issuer.New(issuer.Options{URL: "https://id.example", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if !asked.Swap(true) { // the next place where metadata may be is of no interest
			began <- r.Context().Value(trace{})
			if err := <-gone; err != nil {
				return nil, err
			}
			gone <- r.Context().Err()
		}
		return nil, errors.New("nobody is there")
	})})
	ctx, hangUp := context.WithCancel(context.WithValue(t.Context(), trace{}, "a trace"))
	done := make(chan error)
	go func() { done <- i.Warm(ctx) }()
	if got := <-began; got != "a trace" {
		t.Errorf("it is fetched within %v", got)
	}
	hangUp()
	if err := <-done; !errors.Is(err, issuer.ErrUnreachable) {
		t.Error(err)
	}
	gone <- nil
	if err := <-gone; err != nil {
		t.Errorf("who hung up ended the fetch: %v", err)
	}
}
