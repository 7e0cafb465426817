package shed

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"ellis.example/idp/internal/fault"
)

// most bounds the requests that are worked on at once. It is far above what the database and the cores can use, so that it
// turns away only what would have waited longer than anybody does.
const most = 1024

// The reasons why a request is turned away.
var (
	// ErrBusy says when to come back.
	ErrBusy = fault.New(fault.Unavailable, "temporarily_unavailable", "too many requests at the moment: try again in a few seconds").After(2 * time.Second)
	// ErrSlow is answered with 408.
	ErrSlow = fault.New(fault.Invalid, "request_timeout", "the request took too long to arrive")
	// ErrGone says that the connection was dropped: nobody reads an answer.
	ErrGone = errors.New("the connection was dropped before the request had arrived")
)

// Places counts the requests under way. It is safe for concurrent use.
type Places struct {
	n     atomic.Int64
	most  int64
	count func(what string)
}

// Places returns places for n requests of these connections; 0: for as many as can be worked on. There are never more than for
// one in share of the connections, so that there is room for who needs no place, or one of another kind.
func (c *Connections) Places(n, share int) *Places {
	if n <= 0 {
		n = most
	}
	if c == nil {
		return &Places{most: int64(n), count: func(string) {}}
	}
	return &Places{most: int64(max(1, min(n, c.limits.Connections/share))), count: c.count}
}

// Taken is how many requests are under way.
func (p *Places) Taken() int64 { return p.n.Load() }

// Take takes a place for r, which is answered by a: that gives it back, at the latest when its user calls Leave. The body is
// read before, which the caller has bounded: one who sends it byte by byte holds up nobody else. Errors: ErrBusy, ErrSlow,
// ErrGone.
func (p *Places) Take(a *Answer, r *http.Request) error {
	if p.n.Load() >= p.most { // the body would be read for nothing
		p.count(CountPlaces)
		return ErrBusy
	}
	if err := p.arrive(a, r); err != nil {
		return err
	}
	a.places, a.taken = p, true
	if p.n.Add(1) > p.most {
		a.Leave()
		p.count(CountPlaces)
		return ErrBusy
	}
	return nil
}

// arrive waits for the whole of r. From then on its connection is kept. Errors: ErrBusy, ErrSlow, ErrGone.
func (p *Places) arrive(a *Answer, r *http.Request) error {
	if r.Body != nil && r.Body != http.NoBody {
		text, err := readAll(r.Body, r.ContentLength)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.count(CountSlow)
			return ErrSlow.Because(err)
		}
		a.body = readBody(text, err, r.Body)
		r.Body = a.body
	}
	k := connOf(r.Context())
	switch {
	case k == nil:
	case !k.work():
		return ErrGone
	case k.of.overloaded(k):
		k.release()
		k.wait()
		p.count(CountBytes)
		return ErrBusy
	}
	a.conn = k
	return nil
}

// likely is how long most bodies are at the most, in bytes: for one that says so, room is made at once. What a longer one says is
// not believed before it has arrived.
const likely = 2 << 10

// readAll is io.ReadAll for what says how long it is, or -1.
func readAll(from io.Reader, length int64) ([]byte, error) {
	if length <= 0 || length > likely {
		return io.ReadAll(from)
	}
	text := make([]byte, 0, length+1)
	for len(text) < cap(text) {
		n, err := from.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return text, err
		}
	}
	more, err := io.ReadAll(from)
	return append(text, more...), err
}

// TurnAwayPerson answers a browser in plain text, and reports whether it is one: rendering a page would cost what is lacking.
func TurnAwayPerson(w http.ResponseWriter, r *http.Request, status int, f *fault.Error) bool {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false
	}
	http.Error(w, f.Message, status)
	return true
}

// readBody returns a body that tells what was read, and the error that ended it.
func readBody(text []byte, err error, c io.Closer) *body {
	if err == nil {
		err = io.EOF
	}
	return &body{Reader: bytes.NewReader(text), text: text, end: err, Closer: c}
}

// Text is what arrived of the body of r, which nobody may change, and the error that ended it. Before Take it is empty.
func Text(r *http.Request) ([]byte, error) {
	b, ok := r.Body.(*body)
	if !ok {
		return nil, nil
	}
	if errors.Is(b.end, io.EOF) {
		return b.text, nil
	}
	return b.text, b.end
}

type body struct {
	*bytes.Reader
	io.Closer
	text []byte
	end  error
}

// drop forgets the text.
func (b *body) drop() {
	b.text = nil
	b.Reset(nil)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.end
	}
	return n, err
}

// WriteTo implements io.WriterTo with the error that ended the body, which that of bytes.Reader would leave out.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	n, err := b.Reader.WriteTo(w)
	if err == nil && !errors.Is(b.end, io.EOF) {
		err = b.end
	}
	return n, err
}
