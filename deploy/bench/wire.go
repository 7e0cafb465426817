package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const answerTimeout = 30 * time.Second

// conn is one keep-alive connection that speaks as much HTTP/1.1 as our services answer with. The load shares a machine with
// what it measures: this costs a fraction of net/http's client.
type conn struct {
	addr string // where it goes
	host string // what the Host header says
	jar  jar    // nil: cookies are ignored

	nc   net.Conn
	in   *bufio.Reader
	body []byte
}

// jar holds cookies by name.
type jar map[string]string

// answer is valid until the next request on its connection.
type answer struct {
	status   int
	location string
	body     []byte
}

func newConn(port int, host string) *conn {
	return &conn{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), host: host}
}

func (c *conn) close() {
	if c.nc != nil {
		_ = c.nc.Close()
		c.nc = nil
	}
}

func (c *conn) dial() (err error) {
	d := net.Dialer{Timeout: answerTimeout}
	if c.nc, err = d.DialContext(context.Background(), "tcp", c.addr); err != nil {
		c.nc = nil
		return err
	}
	c.in = bufio.NewReaderSize(c.nc, 16<<10)
	return nil
}

// do sends a request made by c.request and reads the answer. After an error the next request gets a new connection.
func (c *conn) do(request []byte) (a answer, err error) {
	if c.nc == nil {
		if err := c.dial(); err != nil {
			return a, err
		}
	}
	if err = c.nc.SetDeadline(time.Now().Add(answerTimeout)); err == nil { //nolint:forbidigo // the deadline of a connection
		if _, err = c.nc.Write(request); err == nil {
			a, err = c.read()
		}
	}
	if err != nil {
		c.close()
	}
	return a, err
}

var errAnswer = errors.New("the answer is not the HTTP that is expected here")

func (c *conn) read() (a answer, err error) {
	line, err := c.line()
	if err != nil {
		return a, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return a, errAnswer
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, errAnswer
	}
	length, chunked := 0, false
	for {
		if line, err = c.line(); err != nil {
			return a, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) { // as net/http writes them
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return a, errAnswer
			}
		case "Transfer-Encoding":
			chunked = true
		case "Location":
			a.location = string(value)
		case "Set-Cookie":
			c.jar.take(string(value))
		}
	}
	c.body = c.body[:0]
	if chunked {
		err = c.chunks()
	} else {
		err = c.more(length)
	}
	a.body = c.body
	return a, err
}

func (c *conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// more reads the next n bytes of the body.
func (c *conn) more(n int) error {
	at := len(c.body)
	if n < 0 || n > 1<<20 {
		return errAnswer
	}
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.in, c.body[at:])
	return err
}

func (c *conn) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil {
			return errAnswer
		}
		if err := c.more(int(n)); err != nil {
			return err
		}
		if _, err := c.line(); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// take keeps what a Set-Cookie header says.
func (j jar) take(header string) {
	if j == nil {
		return
	}
	pair, attributes, _ := strings.Cut(header, ";")
	name, value, _ := strings.Cut(pair, "=")
	if strings.Contains(attributes, "Max-Age=0") || value == "" {
		delete(j, name)
		return
	}
	j[name] = value
}

// request renders a request; fields are names and values of header fields by turns. A nil body is none.
func (c *conn) request(method, target string, body []byte, fields ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, c.host)
	for i := 0; i+1 < len(fields); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", fields[i], fields[i+1])
	}
	if len(c.jar) > 0 {
		sep := "Cookie: "
		for name, value := range c.jar {
			b.WriteString(sep + name + "=" + value)
			sep = "; "
		}
		b.WriteString("\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// expect is do with the one status that is right.
func (c *conn) expect(status int, request []byte) (answer, error) {
	a, err := c.do(request)
	if err == nil && a.status != status {
		err = fmt.Errorf("status %d in place of %d: %.300s", a.status, status, a.body)
	}
	return a, err
}
