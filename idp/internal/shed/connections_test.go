package shed_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/shed"
)

// patience is far more than anything here takes.
const patience = 20 * time.Second

// world is a server whose connections are bounded.
type world struct {
	*testing.T
	conns  *shed.Connections
	places *shed.Places
	addr   string

	mu      sync.Mutex
	counted map[string]int

	entered, release chan struct{} // of requests to /held
	large            atomic.Int64  // requests to /large
	asked            atomic.Int64  // requests whose header has arrived
}

func newWorld(t *testing.T, l shed.Limits) *world {
	t.Helper()
	w := &world{T: t, counted: map[string]int{}, entered: make(chan struct{}, 1024), release: make(chan struct{})}
	w.conns = shed.NewConnections(l, func(what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.counted[what]++
	})
	w.places = w.conns.Places(0, 2)
	nl, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(w.serve), ReadHeaderTimeout: time.Minute, ReadTimeout: 2 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	guarded := w.conns.Guard(srv, nl)
	go func() { ended <- srv.Serve(guarded) }()
	w.addr = nl.Addr().String()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		w.until("every connection is forgotten", func() bool { return w.conns.Open() == 0 && w.conns.Held() == 0 })
	})
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.asked.Add(1)
	if r.URL.Path == "/ready" { // it needs no place
		_, _ = rw.Write(make([]byte, 8<<20))
		return
	}
	a := &shed.Answer{ResponseWriter: rw}
	switch err := w.places.Take(a, r); {
	case errors.Is(err, shed.ErrGone):
		panic(http.ErrAbortHandler)
	case errors.Is(err, shed.ErrSlow):
		http.Error(rw, err.Error(), http.StatusRequestTimeout)
		return
	case err != nil:
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer a.Leave()
	if r.URL.Path == "/held" {
		w.entered <- struct{}{}
		<-w.release
	}
	if r.URL.Path == "/large" {
		w.large.Add(1)
		_, _ = a.Write(make([]byte, 64<<10)) // it does not fit into a buffer
		return
	}
	text, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(a, "%d bytes", len(text))
}

func (w *world) until(what string, done func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("never: %s; open %d, held %d, counted %v", what, w.conns.Open(), w.conns.Held(), w.counts())
		}
	}
}

func (w *world) counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for k, v := range w.counted {
		out[k] = v
	}
	return out
}

// client is one connection.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial opens a connection, sends text and waits until the server has it.
func (w *world) dial(text string) *client {
	w.Helper()
	nc, err := (&net.Dialer{}).DialContext(w.Context(), "tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = nc.Close() })
	c := &client{nc, bufio.NewReader(nc)}
	c.send(text)
	return c
}

func (c *client) send(text string) { _, _ = io.WriteString(c, text) } // who was dropped finds out when it reads

// answer is the status and the body of the next answer.
func (c *client) answer() (int, string) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// there reports whether the server has kept the connection.
func (c *client) there() bool {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := c.in.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// A line of a body is what it is on the wire.
func TestConnections_LinesCostMoreInAHeaderAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{})
	c := w.dial("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
	w.until("its body is waited for", func() bool { return w.asked.Load() == 1 })
	c.send(strings.Repeat("\n", 10_000))
	<-w.entered
	if n := w.conns.Held(); n < 10_000 || n > 12_000 {
		t.Errorf("it holds %d bytes", n)
	}
	close(w.release)
}

func TestConnections_AreNoMoreThanFilesCanBeOpened(t *testing.T) {
	t.Parallel()
	files := shed.OpenFiles()
	if most := shed.NewConnections(shed.Limits{Connections: math.MaxInt}, nil).Most(); files <= 0 || most != files/4*3 {
		t.Errorf("%d connections and %d files", most, files)
	}
}

func TestConnections_WhereAllAreWorkedForANewOneIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 4})
	w.places = (*shed.Connections)(nil).Places(4, 1)
	var all []*client
	for range 4 {
		all = append(all, w.dial("GET /held HTTP/1.1\r\nHost: x\r\n\r\n"))
		<-w.entered
	}
	if status, _ := w.dial(get).answer(); status != 0 {
		t.Errorf("a fifth got an answer: %d", status)
	}
	if w.counts()[shed.CountFull] != 1 {
		t.Error(w.counts())
	}
	close(w.release)
	for _, c := range all {
		if status, body := c.answer(); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	}
	if status, _ := w.dial(get).answer(); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

// Half of the connections are for who needs no place.
func TestPlaces_AreNoMoreThanForHalfOfTheConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 8})
	for range 4 {
		w.dial("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
		<-w.entered
	}
	if n := w.places.Taken(); n != 4 {
		t.Errorf("%d places are taken", n)
	}
	if status, _ := w.dial(get).answer(); status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", status)
	}
	if w.counts()[shed.CountPlaces] != 1 {
		t.Error(w.counts())
	}
	close(w.release)
}

// What is sent of requests that do not end is bounded, and short lines of headers count for what they become.
func TestConnections_UnfinishedRequestsHoldNoMoreThanTheyMay(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"bodies":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("b", 20_000),
		"headers": "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("h", 20_000),
		"lines":   "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a:\r\n", 150),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const most = 256 << 10
			w := newWorld(t, shed.Limits{Connections: 1000, Bytes: most})
			held := w.dial("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("h", 30_000))
			<-w.entered
			little := w.dial("GET / HTTP/1.1\r\nHost: x\r\n")
			w.until("it is read", func() bool { return w.conns.Held() > 30_000+128 })
			var slow []*client
			for range 50 {
				slow = append(slow, w.dial(text))
			}
			w.until("the oldest were dropped", func() bool { return w.counts()[shed.CountHeld] > 20 && w.conns.Held() <= most+most/16 })
			if slow[0].there() {
				t.Error("the oldest is still there")
			}
			if status, body := w.dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("b", 20_000)).answer(); status != http.StatusOK || body != "20000 bytes" {
				t.Errorf("who sends it in one go: %d %s", status, body)
			}
			little.send("\r\n")
			if status, _ := little.answer(); status != http.StatusOK {
				t.Errorf("one that had sent little: %d", status)
			}
			close(w.release)
			if status, body := held.answer(); status != http.StatusOK || body != "30000 bytes" {
				t.Errorf("the one that was worked on: %d %s", status, body)
			}
		})
	}
}

// Where what is worked on leaves no room, nobody else is dropped in vain; and what is dropped is no more than has to be.
func TestConnections_WhatIsWorkedOnDropsNobodyInVain(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	w := newWorld(t, shed.Limits{Connections: 100, Bytes: most})
	large := func(n int) string {
		return fmt.Sprintf("POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("h", n))
	}
	w.dial(large(42_000))
	<-w.entered
	w.dial(large(18_000))
	<-w.entered
	const one, each = "GET / HTTP/1.1\r\nHost: x\r\n", 10
	cost := int64(len(one) + 2*128)
	before := w.conns.Held()
	var little []*client
	more := func() {
		t.Helper()
		for range each {
			little = append(little, w.dial(one))
		}
	}
	more()
	w.until("they are read", func() bool { return w.conns.Held() == before+each*cost })
	if n := w.conns.Held(); n < most/16*15 || n > most {
		t.Fatalf("%d are held", n)
	}
	if status, _ := w.dial(large(20_000)).answer(); status != http.StatusServiceUnavailable {
		t.Errorf("one for which there is no room: %d", status)
	}
	if w.counts()[shed.CountHeld] != 0 {
		t.Errorf("dropped in vain: %v", w.counts())
	}
	more()
	w.until("room was made", func() bool { return w.counts()[shed.CountHeld] > 0 && w.conns.Held() <= most+most/64 })
	if n := w.counts()[shed.CountHeld]; n > 5 {
		t.Errorf("%d were dropped where %d had to be", n, (before+2*each*cost-most)/cost+1)
	}
	for _, c := range little[each:] {
		c.send("\r\n")
		if status, body := c.answer(); status != http.StatusOK {
			t.Errorf("a younger one: %d %s", status, body)
		}
	}
	close(w.release)
}

func TestPlaces_WhereWhatIsWorkedOnHoldsTooMuchTheNextIsTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 100, Bytes: 64 << 10})
	large := "POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("h", 30_000)
	for range 2 {
		w.dial(large)
		<-w.entered
	}
	if status, _ := w.dial(large).answer(); status != http.StatusServiceUnavailable {
		t.Errorf("a third: %d", status)
	}
	if w.counts()[shed.CountBytes] != 1 {
		t.Error(w.counts())
	}
	if status, _ := w.dial(get).answer(); status != http.StatusOK {
		t.Errorf("a small one: %d", status)
	}
	close(w.release)
}

// Whoever asks and does not take the answers keeps neither a place nor a connection from others.
func TestConnections_WhoTakesNoAnswerIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 8})
	w.places = (*shed.Connections)(nil).Places(100, 1)
	for range 8 {
		w.dial(strings.Repeat("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", 4))
	}
	for range 8 {
		c := w.dial("")
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		go c.send(strings.Repeat("GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 10_000))
	}
	last := int64(-1)
	w.until("every answer is stuck", func() bool {
		before := last
		last = w.large.Load()
		time.Sleep(100 * time.Millisecond)
		return last > 8 && last == before
	})
	for range 20 {
		if status, body := w.dial(get).answer(); status != http.StatusOK {
			t.Fatalf("beside them: %d %s", status, body)
		}
	}
	w.until("no place is taken", func() bool { return w.places.Taken() == 0 })
}

func TestPlaces_ABodyThatDoesNotComeIsToldSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{})
	c := w.dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	if status, body := c.answer(); status != http.StatusRequestTimeout || !strings.Contains(body, shed.ErrSlow.Message) {
		t.Errorf("%d %s", status, body)
	}
	if w.counts()[shed.CountSlow] != 1 || w.places.Taken() != 0 {
		t.Error(w.counts(), w.places.Taken())
	}
	if !errors.Is(shed.ErrSlow.Because(io.EOF), shed.ErrSlow) || !fault.Is(shed.ErrBusy, fault.Unavailable) || shed.ErrBusy.RetryAfter == 0 {
		t.Error("errors lose what they are")
	}
}
