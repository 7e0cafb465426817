package balance

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/deploy/internal/launch"
)

// How health is asked for: together less than a second from a death to the last request that is sent there.
const (
	every    = 150 * time.Millisecond
	patience = 700 * time.Millisecond
)

// Backend is one replica.
type Backend struct {
	URL   *url.URL // scheme and host of the public listener
	Ready string   // URL that answers 200 while requests should come
}

// member is a backend of a pool.
type member struct {
	Backend
	up        atomic.Bool
	transport *http.Transport
}

// Pool is a changing set of backends. It is safe for concurrent use.
type Pool struct {
	ctx    context.Context
	health *http.Client

	mu      sync.Mutex
	members []*member
	turn    int
	changed chan struct{} // closed when a member comes up
}

// NewPool returns an empty pool that looks after its backends until ctx ends.
func NewPool(ctx context.Context) *Pool {
	return &Pool{
		ctx: ctx, changed: make(chan struct{}),
		// A connection for each look: one that is kept says nothing about whether another would be taken.
		health: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// Replicas returns a pool of processes, which may be started later.
func Replicas(ctx context.Context, specs []launch.Spec) *Pool {
	p := NewPool(ctx)
	for _, s := range specs {
		p.Add(Backend{URL: &url.URL{Scheme: "http", Host: s.At}, Ready: s.Ready})
	}
	return p
}

// Add brings a backend in. It is used once it says that it is ready. The function returned takes it out.
func (p *Pool) Add(b Backend) (remove func()) {
	ctx, stop := context.WithCancel(p.ctx)
	m := &member{Backend: b, transport: &http.Transport{
		MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, // shorter than a backend's
		DisableCompression: true, ResponseHeaderTimeout: time.Minute,
	}}
	p.mu.Lock()
	p.members = append(p.members, m)
	p.mu.Unlock()
	go p.watch(ctx, m)
	return func() {
		stop()
		p.mu.Lock()
		defer p.mu.Unlock()
		for i, have := range p.members {
			if have == m {
				p.members = append(p.members[:i:i], p.members[i+1:]...)
			}
		}
		m.transport.CloseIdleConnections()
	}
}

// watch asks a member again and again until ctx ends.
func (p *Pool) watch(ctx context.Context, m *member) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if p.ready(ctx, m) {
			p.up(m)
		} else {
			p.down(m)
		}
		select {
		case <-ctx.Done():
			m.up.Store(false)
			return
		case <-t.C:
		}
	}
}

func (p *Pool) ready(ctx context.Context, m *member) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Ready, http.NoBody)
	if err != nil {
		return false
	}
	res, err := p.health.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close() //nolint:errcheck // only the status counts
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

func (p *Pool) up(m *member) {
	if m.up.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// down takes a member out of the round until it says that it is ready again. Connections that idle are given up: the other
// end is about to.
func (p *Pool) down(m *member) {
	if m.up.Swap(false) {
		m.transport.CloseIdleConnections()
	}
}

// next returns the member whose turn it is among those that are up and not in tried; nil when there is none, with what is
// closed when that changes.
func (p *Pool) next(tried map[*member]bool) (*member, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.members {
		p.turn++
		if m := p.members[p.turn%len(p.members)]; m.up.Load() && !tried[m] {
			return m, nil
		}
	}
	return nil, p.changed
}

// Up is how many backends get requests now.
func (p *Pool) Up() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.up.Load() {
			n++
		}
	}
	return n
}
