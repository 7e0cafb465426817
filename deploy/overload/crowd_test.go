package overload

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/deploy/internal/launch"
)

// crowd is hostile connections that are kept up: whoever is dropped comes again.
type crowd struct {
	size   int
	stop   chan struct{}
	all    sync.WaitGroup
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

// gather keeps n hostile connections up to a port until disperse. body is the length of bodies that do not end.
func gather(port, n, body int) *crowd {
	c := &crowd{size: n, stop: make(chan struct{})}
	var hundred []way
	for _, w := range ways(port, body) {
		hundred = append(hundred, slices.Repeat([]way{w}, w.share)...)
	}
	for i := range n {
		c.all.Go(func() { c.keep(port, hundred[i%len(hundred)]) })
	}
	return c
}

func (c *crowd) keep(port int, w way) {
	for {
		if nc, err := net.DialTimeout("tcp", launch.Loopback(port), 10*time.Second); err != nil {
			c.failed.Add(1)
		} else {
			c.sit(nc, w)
		}
		select {
		case <-c.stop:
			return
		case <-time.After(comeAgain):
		}
	}
}

// sit sends text and waits until the server, or the end, closes the connection.
func (c *crowd) sit(nc net.Conn, w way) {
	if tcp, ok := nc.(*net.TCPConn); ok && w.deaf {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	c.dials.Add(1)
	c.up.Add(1)
	defer c.up.Add(-1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.WriteString(nc, w.text) // it may be dropped meanwhile
		if w.deaf {
			<-c.stop
			return
		}
		_, _ = io.Copy(io.Discard, nc)
	}()
	select {
	case <-c.stop:
	case <-gone:
	}
	_ = nc.Close()
	<-gone
}

// came waits until all were there once, and reports whether they were.
func (c *crowd) came() bool {
	for end := time.Now().Add(time.Minute); c.dials.Load() < int64(c.size); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// disperse closes all of them.
func (c *crowd) disperse() {
	close(c.stop)
	c.all.Wait()
}
