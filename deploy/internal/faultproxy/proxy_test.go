package faultproxy_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ellis.example/deploy/internal/faultproxy"
)

// rig is a proxy in front of a server that counts what arrives.
type rig struct {
	*faultproxy.Proxy
	arrived *atomic.Int64
	http    *http.Client
}

func newRig(t *testing.T) rig {
	t.Helper()
	arrived := &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Add(1)
		_, _ = io.WriteString(w, strings.Repeat("x", 4096))
	}))
	t.Cleanup(server.Close)
	p, err := faultproxy.Listen("127.0.0.1:0", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return rig{p, arrived, &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (r rig) get(t *testing.T) (size int, took time.Duration, err error) {
	t.Helper()
	began := time.Now()
	resp, err := r.http.Get("http://" + r.Addr())
	if err != nil {
		return 0, time.Since(began), err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return len(b), time.Since(began), err
}

func TestProxy_CarriesWhatComes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if n, _, err := r.get(t); n != 4096 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

func TestProxy_LosesAnswersOfRequestsThatArrived(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Lose(2)
	for i := range 3 {
		_, _, err := r.get(t)
		if lost := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF); lost != (i < 2) {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if r.arrived.Load() != 3 {
		t.Errorf("%d requests arrived", r.arrived.Load())
	}
}

func TestProxy_RefusesAndRecovers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Set(faultproxy.Fault{Refuse: true})
	if _, _, err := r.get(t); err == nil {
		t.Error("a connection was taken")
	}
	r.Set(faultproxy.Fault{})
	if _, _, err := r.get(t); err != nil || r.arrived.Load() != 1 {
		t.Errorf("%v, %d requests arrived", err, r.arrived.Load())
	}
}

func TestProxy_HangsUntilItIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Set(faultproxy.Fault{Hang: true})
	time.AfterFunc(300*time.Millisecond, func() { r.Set(faultproxy.Fault{}) })
	if n, took, err := r.get(t); n != 4096 || err != nil || took < 300*time.Millisecond {
		t.Errorf("%d bytes after %s, %v", n, took, err)
	}
}

func TestProxy_SlowsDown(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]faultproxy.Fault{
		"connect": {Connect: 200 * time.Millisecond}, "delay": {Delay: 100 * time.Millisecond}, "rate": {Rate: 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Set(f)
			if n, took, err := r.get(t); n != 4096 || err != nil || took < 200*time.Millisecond {
				t.Errorf("%d bytes after %s, %v", n, took, err)
			}
		})
	}
}

func TestProxy_ClosesOneHalf(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "12345")
		time.Sleep(50 * time.Millisecond)
		_, _ = io.WriteString(c, "67890")
		b, _ := io.ReadAll(c)
		heard <- string(b)
	}()
	p, err := faultproxy.Listen("127.0.0.1:0", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Set(faultproxy.Fault{Half: 5})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); string(b) != "12345" || err != nil {
		t.Errorf("answers: %q, %v", b, err)
	}
	_, _ = io.WriteString(c, "still there")
	_ = c.(*net.TCPConn).CloseWrite()
	if got := <-heard; got != "still there" {
		t.Errorf("the other half carried %q", got)
	}
}

func TestProxy_SeversWhatIsOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.AfterFunc(100*time.Millisecond, r.Sever)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
}

func TestProxy_KeepsNoConnectionToWhatItRefuses(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := faultproxy.Listen("127.0.0.1:0", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Set(faultproxy.Fault{Connect: 200 * time.Millisecond})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(100 * time.Millisecond) // it was taken, and is carried on a little later
	p.Set(faultproxy.Fault{Refuse: true})
	go func() {
		server, err := l.Accept()
		if err == nil {
			_ = server.SetReadDeadline(time.Now().Add(3 * time.Second))
			_, err = server.Read(make([]byte, 1))
		}
		gone <- err
	}()
	if err := <-gone; errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the target's connection stays open")
	}
}

func TestProxy_HangHoldsBackTheEndOfTheTargetToo(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p, err := faultproxy.Listen("127.0.0.1:0", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	client, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p.Set(faultproxy.Fault{Hang: true})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client heard of the end: %v", err)
	}
	p.Set(faultproxy.Fault{})
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client did not hear of the end: %v", err)
	}
}
