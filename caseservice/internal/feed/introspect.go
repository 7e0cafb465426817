package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ellis.example/caseservice/internal/strictjson"
)

const (
	askTimeout  = 2 * time.Second
	askMemory   = time.Second // how old an answer about a token may be
	maxAsking   = 16          // questions under way at once
	maxAnswers  = 4096        // remembered or waited for; beyond that nobody is let in
	maxSaid     = 64 << 10    // bytes of an answer
	formType    = "application/x-www-form-urlencoded"
	jsonType    = "application/json"
	hintOfToken = "access_token"
)

var errBusy = errors.New("too many tokens are asked about already")

// introspector asks the issuer about single tokens (RFC 7662), once for all requests with the same token.
type introspector struct {
	feed  *Feed
	http  *http.Client
	slots chan struct{}

	mu      sync.Mutex
	answers map[[32]byte]*answer
}

// answer is what the issuer says of one token. err and active are there when done is closed.
type answer struct {
	began  time.Time // before the question was sent
	done   chan struct{}
	active bool
	err    error
}

func newIntrospector(f *Feed) *introspector {
	return &introspector{feed: f, http: f.issuer.Client(askTimeout), slots: make(chan struct{}, maxAsking), answers: map[[32]byte]*answer{}}
}

// check reports whether the issuer says that a token stands. Errors: ErrRevoked, ErrUnknown.
func (i *introspector) check(ctx context.Context, t *Token, text string) error {
	a := i.about(ctx, t, text)
	if a == nil {
		return ErrUnknown.Because(errBusy)
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		return ErrUnknown.Because(ctx.Err())
	}
	switch {
	case a.err != nil:
		return ErrUnknown.Because(a.err)
	case !a.active:
		return ErrRevoked
	}
	return nil
}

// about returns an answer that is young enough, or one that is under way; nil when there are too many.
func (i *introspector) about(ctx context.Context, t *Token, text string) *answer {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.feed.clock.Now()
	if a, ok := i.answers[t.Sum]; ok && a.young(now) {
		return a
	}
	if len(i.answers) >= maxAnswers {
		i.prune(now)
	}
	if len(i.answers) >= maxAnswers {
		return nil
	}
	a := &answer{began: now, done: make(chan struct{})}
	i.answers[t.Sum] = a
	go i.ask(ctx, a, t.Sum, text)
	return a
}

func (a *answer) young(now time.Time) bool {
	age := now.Sub(a.began)
	return age >= 0 && age <= askMemory
}

func (i *introspector) prune(now time.Time) {
	for sum, a := range i.answers {
		select {
		case <-a.done:
			if !a.young(now) {
				delete(i.answers, sum)
			}
		default: // it counts as long as somebody waits
		}
	}
}

// ask does not end with the request that caused it, so that a client that hangs up spoils it for no one. A failure is not
// remembered.
func (i *introspector) ask(ctx context.Context, a *answer, sum [32]byte, text string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	select {
	case i.slots <- struct{}{}:
		a.active, a.err = i.feed.introspect(ctx, i.http, text)
		<-i.slots
	case <-ctx.Done():
		a.err = errBusy
	}
	outcome := "active"
	switch {
	case a.err != nil:
		outcome = "failed"
		i.mu.Lock()
		if i.answers[sum] == a {
			delete(i.answers, sum)
		}
		i.mu.Unlock()
	case !a.active:
		outcome = "inactive"
	}
	i.feed.observe.Asked(outcome)
	close(a.done)
}

// introspect asks the issuer whether a token is active (RFC 7662 §2).
func (f *Feed) introspect(ctx context.Context, client *http.Client, token string) (bool, error) {
	at, err := f.issuer.Endpoints(ctx)
	if err != nil {
		return false, err
	}
	if at.Introspection == "" {
		return false, errors.New("the issuer's metadata names no introspection_endpoint")
	}
	form := url.Values{"token": {token}, "token_type_hint": {hintOfToken}}.Encode()
	text, _, err := f.post(ctx, client, at.Introspection, formType, strings.NewReader(form), maxSaid)
	if err != nil {
		return false, err
	}
	said, err := strictjson.Object(text)
	if err != nil {
		return false, fmt.Errorf("the introspection answer: %w", err)
	}
	switch string(said["active"]) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("the introspection answer does not say whether the token is active")
}
