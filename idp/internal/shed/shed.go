package shed

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"ellis.example/idp/internal/fault"
)

// most bounds the requests that are worked on at once. It is far above what the database and the cores can use, so that it
// turns away only what would have waited longer than anybody does.
const most = 1024

// ErrBusy is why a request was turned away. It says when to come back.
var ErrBusy = fault.New(fault.Unavailable, "temporarily_unavailable", "too many requests at the moment: try again in a few seconds").After(2 * time.Second)

// Places counts the requests under way. Its zero value is ready. It is safe for concurrent use.
type Places struct{ n atomic.Int64 }

// Take takes a place for r, and reports whether there was one. Who got one calls Leave. The body is read before, which the
// caller has bounded: one who sends it byte by byte holds up nobody else.
func (p *Places) Take(r *http.Request) bool {
	if p.n.Load() >= most { // the body would be read for nothing
		return false
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = readAhead(r.Body)
	}
	if p.n.Add(1) <= most {
		return true
	}
	p.n.Add(-1)
	return false
}

// Leave gives the place back.
func (p *Places) Leave() { p.n.Add(-1) }

// TurnAwayPerson answers a browser in plain text, and reports whether it is one: rendering a page would cost what is lacking.
func TurnAwayPerson(w http.ResponseWriter, r *http.Request) bool {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false
	}
	http.Error(w, ErrBusy.Message, http.StatusServiceUnavailable)
	return true
}

// readAhead returns a body that tells what b told, its error included.
func readAhead(b io.ReadCloser) io.ReadCloser {
	text, err := io.ReadAll(b)
	if err == nil {
		err = io.EOF
	}
	return &readBody{Reader: bytes.NewReader(text), end: err, Closer: b}
}

type readBody struct {
	*bytes.Reader
	io.Closer
	end error
}

// Read implements io.Reader.
func (b *readBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.end
	}
	return n, err
}

// WriteTo implements io.WriterTo with the error that ended the body, which that of bytes.Reader would leave out.
func (b *readBody) WriteTo(w io.Writer) (int64, error) {
	n, err := b.Reader.WriteTo(w)
	if err == nil && !errors.Is(b.end, io.EOF) {
		err = b.end
	}
	return n, err
}
