package redistest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands before a server and loses answers.
type Proxy struct {
	l    net.Listener
	to   string
	left atomic.Int64 // answers until one is lost; negative: none is
}

// Before starts a proxy before a server. It ends with the test.
func Before(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{l: l, to: s.Addr()}
	p.left.Store(-1)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

// URL names the proxy as --redis does.
func (p *Proxy) URL() string { return "redis://" + p.l.Addr().String() }

// Lose lets so many answers through and loses the next: the server did what it was asked, and the connection breaks.
func (p *Proxy) Lose(after int) { p.left.Store(int64(after)) }

// Lost reports whether the answer was lost.
func (p *Proxy) Lost() bool { return p.left.Load() < 0 }

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() { p.pass(s, c, func() bool { return false }) })
	p.pass(c, s, func() bool { return p.left.Load() >= 0 && p.left.Add(-1) < 0 })
	_, _ = c.Close(), s.Close()
	wg.Wait()
}

// pass copies until an end, or until something is lost. One read is one answer: clients here wait for each.
func (*Proxy) pass(to, from net.Conn, lose func() bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || lose() {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
