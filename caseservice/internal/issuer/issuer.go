package issuer

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
	changeTime   = 5 * time.Second  // after the issuer said that its keys change: its replicas agree on them by then
	changePause  = 200 * time.Millisecond
	fetchTimeout = 5 * time.Second
	maxRetry     = 30 * time.Second
	maxDocument  = 256 << 10
)

// ErrUnreachable says that the issuer's keys are not to be had. Nobody is let in meanwhile.
var ErrUnreachable = fault.New(fault.Unavailable, "issuer_unreachable", "the issuer's keys cannot be fetched at the moment: try again")

// Options configure an Issuer.
type Options struct {
	URL   string      // exact issuer identifier
	Clock clock.Clock // clock.System when nil
	Log   *slog.Logger
	// CountFetch is told of each fetch of the keys: "ok", "failed". It may be nil.
	CountFetch func(result string)
	// Transport carries what is asked; nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Endpoints are those of the issuer that the service asks. One that the metadata does not name is empty.
type Endpoints struct{ JWKS, Events, Introspection string }

// Issuer fetches and keeps the issuer's endpoints and keys. One fetch runs at a time, whoever asks. It is safe for
// concurrent use.
type Issuer struct {
	url    string
	via    http.RoundTripper
	client *http.Client
	clock  clock.Clock
	log    *slog.Logger
	count  func(result string)

	set atomic.Pointer[keySet]
	at  atomic.Pointer[Endpoints] // as the last fetch that succeeded found them

	mu        sync.Mutex
	flight    *flight
	known     Endpoints // from discovery; zero: discover first
	retry     time.Time // after a failure: not before
	failures  int
	unknown   time.Time // when a fetch was last spent on an unknown kid
	overdrawn bool      // an unknown kid was turned away since the last fetch
	changing  time.Time // the issuer's keys are changing until then
}

type flight struct {
	done chan struct{}
	err  error
}

// New returns an Issuer. It asks nobody anything yet: the service starts while the issuer is down.
func New(o Options) *Issuer {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CountFetch == nil {
		o.CountFetch = func(string) {}
	}
	i := &Issuer{url: o.URL, via: o.Transport, clock: o.Clock, log: o.Log, count: o.CountFetch}
	i.client = i.Client(fetchTimeout)
	return i
}

// URL is the issuer identifier.
func (i *Issuer) URL() string { return i.url }

// Warm fetches the keys, so that the first caller need not wait for them. Errors: ErrUnreachable.
func (i *Issuer) Warm(ctx context.Context) error {
	_, err := i.current(ctx)
	return err
}

// Healthy reports whether signatures can be verified now, without asking anybody.
func (i *Issuer) Healthy() bool {
	set := i.set.Load()
	return set != nil && i.clock.Now().Sub(set.fetched) < KeysStale
}

// Holds reports whether the very key is still published. Errors: ErrUnreachable.
func (i *Issuer) Holds(ctx context.Context, k *Key) (bool, error) {
	set, err := i.current(ctx)
	return err == nil && set.holds(k), err
}

// Endpoints returns where the issuer's endpoints are. Where its metadata has named no feed so far they are looked up anew:
// an issuer that learns to tell of revocations is followed without a restart. Errors: ErrUnreachable.
func (i *Issuer) Endpoints(ctx context.Context) (Endpoints, error) {
	if at := i.at.Load(); at != nil && at.Events != "" {
		return *at, nil
	}
	if err := i.Refresh(ctx); err != nil {
		return Endpoints{}, err
	}
	return *i.at.Load(), nil
}

// current returns a usable set: fetched now if there is none, and refreshed beside the request when it is no longer fresh.
func (i *Issuer) current(ctx context.Context) (*keySet, error) {
	set, now := i.set.Load(), i.clock.Now()
	if set == nil || now.Sub(set.fetched) >= KeysStale {
		if err := i.Refresh(ctx); err != nil {
			return nil, err
		}
		return i.set.Load(), nil
	}
	if now.Sub(set.fetched) >= KeysFresh {
		i.begin(ctx, now)
	}
	return set, nil
}

// Find returns the key of a kid that anybody may have named, nil when the issuer has none. The caller makes sure that all
// else about the token is plausible before it asks. Errors: ErrUnreachable.
func (i *Issuer) Find(ctx context.Context, kid string) (*Key, error) {
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
	if err := i.Refresh(ctx); err != nil {
		return nil, err
	}
	return i.set.Load().byKid[kid], nil
}

// FindNamed is Find for a kid that the issuer itself named, over a connection on which it authenticated: no stranger's flood
// can use up its fetch. Errors: ErrUnreachable.
func (i *Issuer) FindNamed(ctx context.Context, kid string) (*Key, error) {
	set, err := i.current(ctx)
	if err != nil || set.byKid[kid] != nil {
		return set.key(kid), err
	}
	if err := i.Refresh(ctx); err != nil {
		return nil, err
	}
	return i.set.Load().byKid[kid], nil
}

// mayAskAgain spends the allowance for unknown kids. A flood of them causes one fetch per unknownEvery; a key that the
// issuer began to use without notice during a flood is found by that fetch or by the regular one, after KeysFresh at most.
func (i *Issuer) mayAskAgain(set *keySet) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.clock.Now()
	if i.flight != nil {
		return true // joins the fetch that is under way
	}
	if now.Before(i.changing) { // one of its replicas may have answered with what was before
		return now.Sub(set.fetched) >= changePause
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

// Refresh fetches the keys, or joins the fetch that is under way. Errors: ErrUnreachable.
func (i *Issuer) Refresh(ctx context.Context) error {
	f, wait := i.begin(ctx, i.clock.Now())
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

// Changed is told that the issuer changes its keys. They are fetched beside whatever goes on, and again when its replicas
// agree on them; in between, a kid that is not known yet is asked for without counting against the allowance.
func (i *Issuer) Changed() {
	now := i.clock.Now()
	i.mu.Lock()
	i.changing = now.Add(changeTime)
	i.mu.Unlock()
	i.begin(context.Background(), now)
	time.AfterFunc(changeTime/2, func() { i.begin(context.Background(), i.clock.Now()) })
}

// begin starts a fetch unless one is under way or the last failure is too recent; then it says how long to wait.
func (i *Issuer) begin(ctx context.Context, now time.Time) (*flight, time.Duration) {
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
	go i.fly(ctx, f, i.known)
	return f, 0
}

// fly does one fetch. It does not end with the request that caused it, so that a client that hangs up spoils it for no one.
func (i *Issuer) fly(ctx context.Context, f *flight, known Endpoints) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	set, found, err := i.fetch(ctx, known)
	now := i.clock.Now()
	i.mu.Lock()
	i.flight = nil
	if err != nil {
		i.failures++
		pause := min(maxRetry, time.Second<<min(i.failures-1, 5))
		i.retry, i.known = now.Add(pause), Endpoints{} // the next try begins with discovery
		f.err = ErrUnreachable.After(pause).Because(err)
	} else {
		i.failures, i.retry, i.known = 0, time.Time{}, found
		i.set.Store(set)
		i.at.Store(&found)
		if i.overdrawn { // the flood goes on: this fetch was its next one
			i.overdrawn, i.unknown = false, now
		}
	}
	i.mu.Unlock()
	close(f.done)
	i.report(err)
}

func (i *Issuer) report(err error) {
	if err != nil {
		i.count("failed")
		i.log.Warn("the issuer's keys could not be fetched", "issuer", i.url, "error", err)
		return
	}
	i.count("ok")
}

func (i *Issuer) fetch(ctx context.Context, at Endpoints) (*keySet, Endpoints, error) {
	if at.Events == "" {
		var err error
		if at, err = i.discover(ctx); err != nil {
			return nil, at, err
		}
	}
	text, err := i.get(ctx, at.JWKS)
	if err != nil {
		return nil, at, err
	}
	set, err := parseKeys(text, i.clock.Now())
	return set, at, err
}

// discover finds the endpoints: by RFC 8414 first, by OpenID Connect Discovery 1.0 else.
func (i *Issuer) discover(ctx context.Context) (Endpoints, error) {
	var errs []error
	for _, where := range metadataURLs(i.url) {
		text, err := i.get(ctx, where)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		at, err := i.readMetadata(text)
		if err != nil {
			err = fmt.Errorf("%s: %w", where, err)
		}
		return at, err
	}
	return Endpoints{}, errors.Join(errs...)
}

func (i *Issuer) readMetadata(text []byte) (Endpoints, error) {
	var doc struct {
		Issuer        string `json:"issuer"`
		JWKS          string `json:"jwks_uri"`
		Events        string `json:"ellis_events_endpoint"`
		Introspection string `json:"introspection_endpoint"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return Endpoints{}, err
	}
	if doc.Issuer != i.url { // RFC 8414 §3.3: or another issuer speaks for ours
		return Endpoints{}, fmt.Errorf("it speaks for issuer %q, and %q is configured", doc.Issuer, i.url)
	}
	for _, where := range []string{doc.Events, doc.Introspection} { // our secret goes there
		if where == "" {
			continue
		}
		if err := CheckURL(where); err != nil {
			return Endpoints{}, err
		}
	}
	return Endpoints{doc.JWKS, doc.Events, doc.Introspection}, CheckURL(doc.JWKS)
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

func (i *Issuer) get(ctx context.Context, where string) ([]byte, error) {
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

// Client returns a client for the issuer that follows no redirects: metadata says where things are, a redirect would not.
func (i *Issuer) Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout, Transport: i.via,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
