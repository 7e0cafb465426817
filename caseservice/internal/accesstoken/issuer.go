package accesstoken

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
)

const thumbHash = crypto.SHA256

// How long keys are believed, and how often the issuer may be asked. The issuer publishes a key at least KeysFresh before
// its first use, so that a planned rotation is never noticed.
const (
	KeysFresh    = 5 * time.Minute  // then they are fetched again, beside the requests
	KeysStale    = 15 * time.Minute // then nobody gets in until they were
	unknownEvery = 5 * time.Minute  // at most one fetch per this time is caused by unknown kids
	unknownPause = 10 * time.Second // a set this young is not fetched again for an unknown kid
	fetchTimeout = 5 * time.Second
	maxRetry     = 30 * time.Second
	maxDocument  = 256 << 10
)

// ErrUnreachable says that the issuer's keys are not to be had. Nobody is let in meanwhile.
var ErrUnreachable = fault.New(fault.Unavailable, "issuer_unreachable", "the issuer's keys cannot be fetched at the moment: try again")

// issuer fetches and keeps the issuer's keys. One fetch runs at a time, whoever asks.
type issuer struct {
	url    string
	client *http.Client
	clock  clock.Clock
	log    *slog.Logger
	count  func(result string)

	set atomic.Pointer[keySet]

	mu        sync.Mutex
	flight    *flight
	jwksURI   string    // from discovery; "" until it succeeded
	retry     time.Time // after a failure: not before
	failures  int
	unknown   time.Time // when a fetch was last spent on an unknown kid
	overdrawn bool      // an unknown kid was turned away since the last fetch
}

type flight struct {
	done chan struct{}
	err  error
}

// current returns a usable set: fetched now if there is none, and refreshed beside the request when it is no longer fresh.
func (i *issuer) current(ctx context.Context) (*keySet, error) {
	set, now := i.set.Load(), i.clock.Now()
	if set == nil || now.Sub(set.fetched) >= KeysStale {
		if err := i.refresh(ctx); err != nil {
			return nil, err
		}
		return i.set.Load(), nil
	}
	if now.Sub(set.fetched) >= KeysFresh {
		i.begin(now)
	}
	return set, nil
}

// find returns the key of a kid, nil when the issuer has none. The caller makes sure that all else about the token is
// plausible before it asks.
func (i *issuer) find(ctx context.Context, kid string) (*key, error) {
	set, err := i.current(ctx)
	if err != nil {
		return nil, err
	}
	if k := set.byKid[kid]; k != nil {
		return k, nil
	}
	if !i.mayAskAgain(set) {
		return nil, nil
	}
	if err := i.refresh(ctx); err != nil {
		return nil, err
	}
	return i.set.Load().byKid[kid], nil
}

// mayAskAgain spends the allowance for unknown kids. A flood of them causes one fetch per unknownEvery; a key that the
// issuer began to use without notice during a flood is found by that fetch or by the regular one, after KeysFresh at most.
func (i *issuer) mayAskAgain(set *keySet) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock.Now()
	if i.flight != nil {
		return true // joins the fetch that is under way
	}
	if now.Sub(set.fetched) < unknownPause {
		return false
	}
	if now.Sub(i.unknown) < unknownEvery {
		i.overdrawn = true
		return false
	}
	i.unknown = now
	return true
}

// refresh fetches the keys, or joins the fetch that is under way.
func (i *issuer) refresh(ctx context.Context) error {
	f, wait := i.begin(i.clock.Now())
	if f == nil {
		return ErrUnreachable.After(wait)
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ErrUnreachable.After(time.Second).Because(ctx.Err())
	}
}

// begin starts a fetch unless one is under way or the last failure is too recent; then it says how long to wait.
func (i *issuer) begin(now time.Time) (*flight, time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.flight != nil {
		return i.flight, 0
	}
	if wait := i.retry.Sub(now); wait > 0 {
		return nil, wait
	}
	f := &flight{done: make(chan struct{})}
	i.flight = f
	go i.fly(f, i.jwksURI)
	return f, 0
}

// fly does one fetch. It belongs to nobody's request, so that a client that hangs up spoils it for no one.
func (i *issuer) fly(f *flight, jwksURI string) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	set, uri, err := i.fetch(ctx, jwksURI)
	now := i.clock.Now()
	i.mu.Lock()
	i.flight = nil
	if err != nil {
		i.failures++
		pause := min(maxRetry, time.Second<<min(i.failures-1, 5))
		i.retry, i.jwksURI = now.Add(pause), "" // the next try begins with discovery
		f.err = ErrUnreachable.After(pause).Because(err)
	} else {
		i.failures, i.retry, i.jwksURI = 0, time.Time{}, uri
		i.set.Store(set)
		if i.overdrawn { // the flood goes on: this fetch was its next one
			i.overdrawn, i.unknown = false, now
		}
	}
	i.mu.Unlock()
	close(f.done)
	i.report(err)
}

func (i *issuer) report(err error) {
	if err != nil {
		i.count("failed")
		i.log.Warn("the issuer's keys could not be fetched", "issuer", i.url, "error", err)
		return
	}
	i.count("ok")
}

func (i *issuer) fetch(ctx context.Context, jwksURI string) (*keySet, string, error) {
	if jwksURI == "" {
		var err error
		if jwksURI, err = i.discover(ctx); err != nil {
			return nil, "", err
		}
	}
	text, err := i.get(ctx, jwksURI)
	if err != nil {
		return nil, "", err
	}
	set, err := parseKeys(text, i.clock.Now())
	return set, jwksURI, err
}

// discover finds the JWKS: RFC 8414 first, OpenID Connect Discovery 1.0 else.
func (i *issuer) discover(ctx context.Context) (string, error) {
	var errs []error
	for _, where := range metadataURLs(i.url) {
		text, err := i.get(ctx, where)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var doc struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			return "", fmt.Errorf("%s: %w", where, err)
		}
		if doc.Issuer != i.url { // RFC 8414 §3.3: or another issuer speaks for ours
			return "", fmt.Errorf("%s speaks for issuer %q, and %q is configured", where, doc.Issuer, i.url)
		}
		return doc.JWKSURI, CheckURL(doc.JWKSURI)
	}
	return "", errors.Join(errs...)
}

// metadataURLs returns where an issuer's metadata may be: RFC 8414 §3.1 puts the well-known part before the issuer's path,
// OpenID Connect after it.
func metadataURLs(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.Path, "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}
}

// CheckURL accepts https URLs, and http ones of loopback hosts: keys that come over an open wire prove nothing.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is not a plain absolute URL", text)
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("%q has to be https (http only on a loopback host)", text)
}

func (i *issuer) get(ctx context.Context, where string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := i.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", where, res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("%s answered more than %d bytes", where, maxDocument)
	}
	return text, err
}

// newClient returns a client that follows no redirects: metadata says where keys are, a redirect would not.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
