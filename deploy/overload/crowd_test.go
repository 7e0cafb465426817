package overload

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
)

// crowd is hostile connections that are kept up: whoever is dropped comes again.
type crowd struct {
	up     atomic.Int64 // that are connected
	dials  atomic.Int64
	failed atomic.Int64 // connections that could not be made
}

// comeAgain is how long one who was dropped waits.
const comeAgain = 3 * time.Second

// way is a way to keep a server waiting: some text, and then nothing.
type way struct {
	share int // of a hundred
	text  string
	deaf  bool // it takes no answers
}

func ways(port, body int) []way {
	head := fmt.Sprintf(" HTTP/1.1\r\nHost: localhost:%d\r\n", port)
	form := fmt.Sprintf("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", body)
	return []way{
		{share: 30},                             // says nothing
		{share: 10, text: "GET /signin" + head}, // a header without an end
		{share: 4, text: "GET /signin" + head + strings.Repeat("a:\r\n", 300)},
		{share: 4, text: "GET /signin" + head + "X: " + strings.Repeat("h", 8000)},
		{share: 50, text: "POST /token" + head + form + strings.Repeat("b", body-1000)},               // a body that stops
		{share: 1, text: "POST /v1/claims" + head + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4"}, // chunks that do
		{share: 1, text: strings.Repeat("GET /help"+head+"Accept: text/html\r\n\r\n", 10), deaf: true},
	}
}

// crowdVar makes a process of this binary a crowd: the port that it goes to, how many they are, the length of bodies that do not
// end, and the port of its private listener.
const crowdVar = "CROWD"

func TestMain(m *testing.M) {
	var port, n, body, private int
	if _, err := fmt.Sscan(os.Getenv(crowdVar), &port, &n, &body, &private); err == nil {
		fmt.Fprintln(os.Stderr, new(crowd).run(port, n, body, private))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// run keeps the connections up until the process ends. It tells of them as a service would.
func (c *crowd) run(port, n, body, private int) error {
	var hundred []way
	for _, w := range ways(port, body) {
		hundred = append(hundred, slices.Repeat([]way{w}, w.share)...)
	}
	for i := range n {
		go c.keep(port, hundred[i%len(hundred)])
	}
	m := http.NewServeMux()
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if c.dials.Load() < int64(n) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	m.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "up %d\ndials %d\nfailed %d\n", c.up.Load(), c.dials.Load(), c.failed.Load())
	})
	return http.ListenAndServe(launch.Loopback(private), m)
}

func (c *crowd) keep(port int, w way) {
	for {
		if nc, err := net.DialTimeout("tcp", launch.Loopback(port), 10*time.Second); err != nil {
			c.failed.Add(1)
		} else {
			c.sit(nc, w)
		}
		time.Sleep(comeAgain)
	}
}

// sit sends text and waits until the server closes the connection.
func (c *crowd) sit(nc net.Conn, w way) {
	if tcp, ok := nc.(*net.TCPConn); ok && w.deaf {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	c.dials.Add(1)
	c.up.Add(1)
	defer c.up.Add(-1)
	_, _ = io.WriteString(nc, w.text) // it may be dropped meanwhile
	if w.deaf {
		select {} // to whatever the server does
	}
	_, _ = io.Copy(io.Discard, nc)
	_ = nc.Close()
}

// gather starts a crowd of n in a process of its own, as it would be on other machines: whoever uses the services meanwhile does
// not wait for it. It returns when all were there once.
func (s *system) gather(port, n, body int) *launch.Process {
	s.Helper()
	var ports launch.Ports
	private, err := ports.Free()
	ports.Release()
	s.must(err)
	p, err := s.group.Start(launch.Spec{
		Name: fmt.Sprintf("crowd-%d", port), Path: os.Args[0], Env: []string{fmt.Sprintf("%s=%d %d %d %d", crowdVar, port, n, body, private)},
		Ready: "http://" + launch.Loopback(private) + "/readyz",
	})
	s.must(err)
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	s.must(p.Ready(ctx))
	s.Logf("%s: %.0f connected, %.0f dialled, %.0f failed", p.Name, s.metric(p, "up"), s.metric(p, "dials"), s.metric(p, "failed"))
	return p
}
