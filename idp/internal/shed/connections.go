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
	// slack is the share of the bytes that may be held beyond, as a divisor, so that not every byte more is a reason to look for
	// some that could be freed.
	slack = 64
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
	look   atomic.Int64 // whose requests could be given up for others is looked at when more is held

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
	c := &Connections{limits: l, count: count, open: map[*conn]struct{}{}}
	c.look.Store(l.Bytes)
	return c
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
		c.makeRoom(most - most/spare - 1)
	}
	if len(c.open) >= most {
		return nil
	}
	k := &conn{Conn: nc, of: c}
	k.since.Store(c.turns.Add(1))
	c.open[k] = struct{}{}
	return k
}

// makeRoom drops those that have waited longest until enough are left. As long as those that were never answered are more than half
// of all, they make room for each other: a crowd that only connects costs nobody else a connection. c.mu is held.
func (c *Connections) makeRoom(enough int) {
	list := c.waiting(func(*conn) bool { return true })
	var strangers, known []waiter
	for _, w := range list {
		if w.answered.Load() {
			known = append(known, w)
		} else {
			strangers = append(strangers, w)
		}
	}
	if len(strangers) > c.limits.Connections/2 {
		list = append(strangers, known...)
	}
	for _, w := range list {
		if len(c.open) <= enough {
			return
		}
		c.drop(w, CountRoom)
	}
}

// charge notes what a connection has sent of a request. Where all of them hold too much, others are dropped; k itself is told
// once its request is whole.
func (c *Connections) charge(k *conn, cost int64) {
	k.held.Add(cost)
	if look := c.look.Load(); c.held.Add(cost) > look {
		c.unload(k, look)
	}
}

// unload drops connections other than k whose requests do not end, where more than most is held, until all of them hold what they
// may. Those that sent little give way only where that is not enough, and to one that sent no more. Where k and those that are
// worked on leave nothing to the others, dropping them would help nobody: then they are bounded by themselves.
func (c *Connections) unload(k *conn, most int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held.Load() <= most { // somebody else has made room
		return
	}
	list := c.waiting(func(o *conn) bool { return o != k && o.held.Load() > 0 })
	var theirs int64
	for _, w := range list {
		theirs += w.held.Load()
	}
	room := c.limits.Bytes - c.held.Load() + theirs
	if room < 0 {
		room = c.limits.Bytes
	}
	for _, pass := range []struct{ least, enough int64 }{{large, room - room/spare}, {k.held.Load(), room}} {
		for _, w := range list {
			n := w.held.Load()
			if theirs > pass.enough && n >= pass.least && c.drop(w, CountHeld) {
				theirs -= n
			}
		}
	}
	// Where next to nothing could be freed, the next look is not for the next few bytes.
	c.look.Store(max(c.limits.Bytes, c.held.Load()+c.limits.Bytes/slack))
}

// overloaded reports whether the requests that are worked on hold too much, that of k among them.
func (c *Connections) overloaded(k *conn) bool {
	most := c.limits.Bytes + c.limits.Bytes/slack
	if c.held.Load() <= most {
		return false
	}
	c.unload(k, most) // also where a look at it was put off: nobody is turned away for requests that do not end
	return c.held.Load() > most
}

// waiter is a connection that waits for its client since a turn.
type waiter struct {
	*conn
	since int64
}

// waiting lists connections that wait for their client, the one that has waited longest first. c.mu is held.
func (c *Connections) waiting(wanted func(*conn) bool) []waiter {
	list := make([]waiter, 0, len(c.open))
	for k := range c.open {
		if since := k.since.Load(); since > 0 && wanted(k) {
			list = append(list, waiter{k, since})
		}
	}
	slices.SortFunc(list, func(a, b waiter) int { return cmp.Compare(a.since, b.since) })
	return list
}

// drop closes a connection, and reports whether it did: its request may have arrived just now. c.mu is held.
func (c *Connections) drop(w waiter, what string) bool {
	if !w.conn.since.CompareAndSwap(w.since, dropped) {
		return false
	}
	delete(c.open, w.conn)
	w.release()
	_ = w.Conn.Close() // its goroutine finds out
	c.count(what)
	return true
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
	of       *Connections
	since    atomic.Int64 // busy, dropped, or the turn at which it began to wait
	held     atomic.Int64 // bytes of its request
	headed   atomic.Bool  // the header has arrived: what follows is body
	answered atomic.Bool  // a request on it was answered, and the answer was taken
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
		k.answered.Store(true)
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
	n := k.held.Swap(0)
	if n == 0 {
		return
	}
	c := k.of
	c.held.Add(-n)
	if c.look.Load() != c.limits.Bytes { // what could not be freed before may be free by now
		c.look.Store(c.limits.Bytes)
	}
}
