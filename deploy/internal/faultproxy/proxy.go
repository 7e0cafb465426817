package faultproxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault says what goes wrong. The zero value is a network that works.
type Fault struct {
	Refuse  bool          // new connections are reset at once
	Hang    bool          // connections are taken, and nothing passes either way
	Connect time.Duration // a new connection is carried on only after this time
	Delay   time.Duration // each piece of data arrives so much later, each way
	Rate    int           // bytes a second that pass each way; 0: as many as can
	Half    int64         // after so many bytes of answers on a connection, its client hears no more of them; 0: never
}

// Proxy carries connections to one address. Its methods are safe for concurrent use.
type Proxy struct {
	target string
	listen net.Listener
	lose   atomic.Int64 // how many answers still get lost

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed when fault changes
	open    map[net.Conn]struct{}
	closed  bool
	running sync.WaitGroup
}

const dialTimeout = 5 * time.Second

// Listen starts a proxy at address, for example 127.0.0.1:0, that carries to target. The caller ends it with Close.
func Listen(address, target string) (*Proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listen: l, changed: make(chan struct{}), open: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listen.Addr().String() }

// Set puts a fault in force in place of the one before.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Lose makes the next n answers get lost: the request arrives at the target, and its connection is reset when the first
// piece of the answer comes back.
func (p *Proxy) Lose(n int) { p.lose.Store(int64(n)) }

// Sever resets every connection that is open.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		reset(c)
	}
}

// Close ends the proxy and every connection, and returns when all is gone.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	err := p.listen.Close()
	p.Sever()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.listen.Accept()
		if err != nil {
			return
		}
		if !p.keep(c) {
			reset(c)
			continue
		}
		p.running.Go(func() { p.carry(c) })
	}
}

// keep notes a connection, so that Sever and Close find it; false where there is to be none.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.fault.Refuse {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	_ = c.Close()
}

// passable waits while nothing passes and returns the fault in force. Errors: net.ErrClosed when the proxy ended.
func (p *Proxy) passable() (Fault, error) {
	for {
		p.mu.Lock()
		f, changed, closed := p.fault, p.changed, p.closed
		p.mu.Unlock()
		if closed {
			return f, net.ErrClosed
		}
		if !f.Hang {
			return f, nil
		}
		<-changed
	}
}

// from is the address that the target is to see: of a client that chose one of its own on loopback, that one. A port is not
// bound for others, of whom there may be more than ports.
func from(client net.Conn) net.Addr {
	a, ok := client.RemoteAddr().(*net.TCPAddr)
	if !ok || !a.IP.IsLoopback() || a.IP.To4() == nil || a.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		return nil
	}
	return &net.TCPAddr{IP: a.IP}
}

func (p *Proxy) carry(client net.Conn) {
	defer p.forget(client)
	f, err := p.passable()
	if err != nil {
		return
	}
	time.Sleep(f.Connect)
	d := net.Dialer{Timeout: dialTimeout, LocalAddr: from(client)}
	server, err := d.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		reset(client) // as a port at which nobody listens would
		return
	}
	defer p.forget(server)
	if !p.keep(server) {
		reset(client)
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pipe(server, client, nil) })
	both.Go(func() { p.pipe(client, server, p.spoil) })
	both.Wait()
}

var errLost = errors.New("the answer is lost")

// spoil decides over a piece of an answer, of which sent bytes passed before.
func (p *Proxy) spoil(f Fault, sent int64) error {
	if p.lose.Load() > 0 && p.lose.Add(-1) >= 0 {
		return errLost
	}
	if f.Half > 0 && sent >= f.Half {
		return net.ErrClosed
	}
	return nil
}

// pipe carries one direction until it ends. spoil may end it; nil lets everything through.
func (p *Proxy) pipe(to, from net.Conn, spoil func(Fault, int64) error) {
	var sent int64
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			f, gone := p.passable()
			if gone == nil && spoil != nil {
				gone = spoil(f, sent)
			}
			if errors.Is(gone, errLost) {
				reset(to)
				reset(from)
				return
			}
			if gone != nil {
				break
			}
			time.Sleep(f.Delay)
			if f.Rate > 0 {
				time.Sleep(time.Duration(n) * time.Second / time.Duration(f.Rate))
			}
			if _, gone = to.Write(buf[:n]); gone != nil {
				break
			}
			sent += int64(n)
		}
		if err != nil {
			_, _ = p.passable() // an end does not pass either
			break
		}
	}
	p.mu.Lock() // Sever resets both ends before one hears of an orderly end of the other
	defer p.mu.Unlock()
	if t, ok := to.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
}

// reset closes a connection so that the other end gets an error instead of an end.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
