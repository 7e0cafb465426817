package shed

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// DefaultConnections is how many connections are open at once. An idle one takes about 20 KB.
const DefaultConnections = 2048

const (
	// maxHeld bounds what all requests that were not answered yet hold together, in bytes.
	maxHeld = 16 << 20
	// lineCost is what a line of a header takes beside its text, in bytes: thousands of short ones are far more in memory
	// than on the wire.
	lineCost = 128
	// large is more than most requests hold, in bytes.
	large = 8 << 10
	// spare is the share of what is full that is freed at once, as a divisor.
	spare = 16
)

// Limits bound a listener. Zero means the defaults.
type Limits struct {
	Connections int   // DefaultConnections; never more than three quarters of the files that the process may open
	Bytes       int64 // of requests that were not answered yet: 16 MiB
}

// What was turned away, as it is counted.
const (
	CountPlaces = "places" // a request: no place
	CountBytes  = "bytes"  // a request: those that are worked on hold too much
	CountSlow   = "slow"   // a request that did not arrive in its time
	CountRoom   = "room"   // a connection that waited longest, for a new one
	CountHeld   = "held"   // a connection whose request does not end, because all of these hold too much
	CountFull   = "full"   // a new connection: every other one is worked for
)

// Connections bounds the connections of one server. It is safe for concurrent use; the methods of nil bound nothing.
type Connections struct {
	limits Limits
	count  func(what string)
	turns  atomic.Int64 // orders connections by when they began to wait
	held   atomic.Int64 // bytes of requests that were not answered yet

	mu   sync.Mutex // guards open, and one makes room at a time
	open map[*conn]struct{}
}

// NewConnections returns bounds. count is told of each request or connection that is turned away: Count… says why.
func NewConnections(l Limits, count func(what string)) *Connections {
	if l.Connections <= 0 {
		l.Connections = DefaultConnections
	}
	if l.Bytes <= 0 {
		l.Bytes = maxHeld
	}
	if n := openFiles(); n > 0 {
		l.Connections = max(1, min(l.Connections, n/4*3))
	}
	return &Connections{limits: l, count: count, open: map[*conn]struct{}{}}
}

// Most is how many connections may be open.
func (c *Connections) Most() int { return c.limits.Connections }

// Open is how many connections are open.
func (c *Connections) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// Held is how many bytes the requests hold that were not answered yet.
func (c *Connections) Held() int64 { return c.held.Load() }

// Guard makes srv, which has not begun, tell of its connections, and returns the listener that it has to serve.
func (c *Connections) Guard(srv *http.Server, l net.Listener) net.Listener {
	if c == nil {
		return l
	}
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) }
	srv.ConnState = func(nc net.Conn, s http.ConnState) {
		if k, ok := nc.(*conn); ok {
			k.is(s)
		}
	}
	return listener{l, c}
}

// listener hands out connections that are counted.
type listener struct {
	net.Listener
	c *Connections
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if k := l.c.admit(nc); k != nil {
			return k, nil
		}
		l.c.count(CountFull)
		_ = nc.Close() // nobody has written to it
	}
}

// admit takes a connection in, or returns nil where there is no room and none can be made.
func (c *Connections) admit(nc net.Conn) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.limits.Connections
	if len(c.open) >= most {
		enough := most - most/spare - 1
		c.drop(CountRoom, func(*conn) bool { return len(c.open) > enough })
	}
	if len(c.open) >= most {
		return nil
	}
	k := &conn{Conn: nc, of: c}
	k.since.Store(c.turns.Add(1))
	c.open[k] = struct{}{}
	return k
}

// charge notes what a connection has sent of a request. Where all of them hold too much, others are dropped; k itself is told
// once its request is whole.
func (c *Connections) charge(k *conn, cost int64) {
	k.held.Add(cost)
	if c.held.Add(cost) > c.limits.Bytes {
		c.unload(k)
	}
}

// unload drops connections other than k whose requests do not end, until all of them hold what they may.
func (c *Connections) unload(k *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held.Load() <= c.limits.Bytes { // somebody else has made room
		return
	}
	enough := c.limits.Bytes - c.limits.Bytes/spare
	for _, least := range []int64{large, 1} { // those that send little give way only where that is not enough
		c.drop(CountHeld, func(o *conn) bool { return c.held.Load() > enough && o.held.Load() >= least && o != k })
	}
}

// overloaded reports whether the requests that are worked on hold too much, that of k among them.
func (c *Connections) overloaded(k *conn) bool {
	if c.held.Load() > c.limits.Bytes {
		c.unload(k)
	}
	return c.held.Load() > c.limits.Bytes
}

// drop closes connections that wait for their client, the one that has waited longest first, for as long as wanted says so
// of them. c.mu is held.
func (c *Connections) drop(what string, wanted func(*conn) bool) {
	type waiting struct {
		*conn
		since int64
	}
	list := make([]waiting, 0, len(c.open))
	for k := range c.open {
		if since := k.since.Load(); since > 0 {
			list = append(list, waiting{k, since})
		}
	}
	slices.SortFunc(list, func(a, b waiting) int { return cmp.Compare(a.since, b.since) })
	for _, w := range list {
		if wanted(w.conn) && w.conn.since.CompareAndSwap(w.since, dropped) { // unless its request has arrived just now
			delete(c.open, w.conn)
			w.release()
			_ = w.Conn.Close() // its goroutine finds out
			c.count(what)
		}
	}
}

// What conn.since is beside the turn at which it began to wait.
const (
	busy    = 0
	dropped = -1
)

type connKey struct{}

// conn is a connection that knows whether it waits for its client.
type conn struct {
	net.Conn
	of     *Connections
	since  atomic.Int64 // busy, dropped, or the turn at which it began to wait
	held   atomic.Int64 // bytes of its request
	headed atomic.Bool  // the header has arrived: what follows is body
}

// connOf is the connection of a request, nil where nobody counts it.
func connOf(ctx context.Context) *conn {
	k, _ := ctx.Value(connKey{}).(*conn)
	return k
}

// Read implements net.Conn.
func (k *conn) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	if n > 0 {
		cost := n
		if !k.headed.Load() {
			cost += lineCost * bytes.Count(p[:n], []byte{'\n'})
		}
		k.of.charge(k, int64(cost))
	}
	return n, err
}

// Close implements net.Conn.
func (k *conn) Close() error {
	k.of.mu.Lock()
	delete(k.of.open, k)
	k.of.mu.Unlock()
	k.release()
	return k.Conn.Close()
}

// is follows the server: a connection waits while it is idle, while a header arrives, and, anew, while a body does.
func (k *conn) is(s http.ConnState) {
	switch s {
	case http.StateActive:
		k.headed.Store(true)
		k.wait()
	case http.StateIdle:
		k.headed.Store(false)
		k.release()
		k.wait()
	case http.StateNew, http.StateHijacked, http.StateClosed: // Accept and Close know
	}
}

// wait says that it is the client's turn from now on.
func (k *conn) wait() {
	if since := k.since.Load(); since != dropped {
		k.since.CompareAndSwap(since, k.of.turns.Add(1))
	}
}

// work says that the request is whole, and reports whether its connection is still there.
func (k *conn) work() bool {
	since := k.since.Load()
	return since != dropped && k.since.CompareAndSwap(since, busy)
}

// release forgets what the request held.
func (k *conn) release() {
	if n := k.held.Swap(0); n != 0 {
		k.of.held.Add(-n)
	}
}
