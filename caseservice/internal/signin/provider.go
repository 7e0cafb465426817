package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"ellis.example/caseservice/internal/clock"
)

const (
	httpTimeout   = 10 * time.Second
	maxAnswer     = 1 << 20         // bytes of any answer of the issuer
	metadataAge   = time.Hour       // how long metadata is believed
	metadataPause = 2 * time.Second // between tries while the issuer is down
)

// provider is the issuer as its metadata describe it (OpenID Connect Discovery §3, RFC 8414 §2). They are fetched when
// they are first needed, so that the portal starts while the issuer is down; old ones serve while new ones cannot be had.
type provider struct {
	issuer string
	http   *http.Client
	clock  clock.Clock

	flight singleflight.Group
	mu     sync.Mutex
	known  *metadata
	tried  time.Time // the last try, whatever came of it
	failed error     // of the last try
}

// metadata is what is used of the issuer's metadata.
type metadata struct {
	oidc       *oidc.Provider
	endpoint   oauth2.Endpoint
	fetched    time.Time
	SendsIss   bool     `json:"authorization_response_iss_parameter_supported"`
	EndSession string   `json:"end_session_endpoint"`
	Revocation string   `json:"revocation_endpoint"`
	Challenges []string `json:"code_challenge_methods_supported"`
	JWKS       string   `json:"jwks_uri"`
}

// newHTTP returns a client for the issuer: bounded in time and size, and no redirect is followed with a secret in hand.
func newHTTP(via http.RoundTripper) *http.Client {
	return &http.Client{
		Timeout: httpTimeout, Transport: bounded{via},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts answers that are too long.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// get returns the metadata. Errors: ErrUnavailable.
func (p *provider) get(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	known, tried, failed := p.known, p.tried, p.failed
	p.mu.Unlock()
	now := p.clock.Now()
	if known != nil && now.Sub(known.fetched) < metadataAge {
		return known, nil
	}
	if now.Sub(tried) < metadataPause && now.Sub(tried) >= 0 {
		if known != nil {
			return known, nil
		}
		return nil, ErrUnavailable.Because(failed).After(metadataPause)
	}
	m, err := p.refetch(ctx)
	switch {
	case err == nil:
		return m, nil
	case known != nil:
		return known, nil
	}
	return nil, ErrUnavailable.Because(err).After(metadataPause)
}

// refetch asks the issuer once, however many are waiting.
func (p *provider) refetch(ctx context.Context) (*metadata, error) {
	v, err, _ := p.flight.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpTimeout)
		defer cancel()
		m, err := p.discover(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tried, p.failed = p.clock.Now(), err
		if err == nil {
			m.fetched = p.tried
			p.known = m
		}
		return m, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*metadata), nil
}

func (p *provider) discover(ctx context.Context) (*metadata, error) {
	op, err := oidc.NewProvider(oidc.ClientContext(ctx, p.http), p.issuer)
	if err != nil {
		return nil, err
	}
	m := &metadata{oidc: op, endpoint: op.Endpoint()}
	if err := op.Claims(m); err != nil {
		return nil, err
	}
	m.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	return m, m.check(p.issuer)
}

// check refuses metadata with which sign-in would not be safe.
func (m *metadata) check(issuer string) error {
	base, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	for name, s := range map[string]string{
		"authorization_endpoint": m.endpoint.AuthURL, "token_endpoint": m.endpoint.TokenURL, "jwks_uri": m.JWKS,
		"end_session_endpoint": m.EndSession, "revocation_endpoint": m.Revocation,
	} {
		if s == "" && (name == "end_session_endpoint" || name == "revocation_endpoint") {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != base.Scheme) {
			return fmt.Errorf("the issuer's metadata name no usable %s", name)
		}
	}
	if !slices.Contains(m.Challenges, "S256") {
		return errors.New("the issuer does not say that it supports PKCE with S256")
	}
	return nil
}

// lastFailure returns what the last try to reach the issuer came to; nil before the first one.
func (p *provider) lastFailure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}
