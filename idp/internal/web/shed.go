package web

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

// maxUnderWay bounds the requests that are worked on at once. It is far above what the database and the cores can use, so
// that it turns away only what would have waited longer than anybody does.
const maxUnderWay = 1024

// shedPause is what Retry-After says to those who were turned away.
const shedPause = 2 * time.Second

var errBusy = fault.New(fault.Unavailable, "temporarily_unavailable", "too many requests at the moment: try again in a few seconds")

// shedder counts the requests under way. Its zero value is ready.
type shedder struct{ n atomic.Int64 }

// enter takes a place, and reports whether there was one. Who got one calls leave.
func (s *shedder) enter() bool {
	if s.n.Add(1) <= maxUnderWay {
		return true
	}
	s.n.Add(-1)
	return false
}

func (s *shedder) leave() { s.n.Add(-1) }

// counted reports whether a request to path takes a place. The keys and the discovery documents do not, because every API
// hangs on them and they are bytes that lie ready; nor do the polls of the feed, which wait and do nothing else.
func counted(path string) bool {
	return !strings.HasPrefix(path, "/.well-known/") && path != "/jwks" && path != "/events/poll"
}

// admit hands a request on when there is a place for it, and answers 503 when there is none.
func (e *Edge) admit(next http.Handler, w http.ResponseWriter, r *http.Request, info *Request) {
	if !counted(r.URL.Path) {
		next.ServeHTTP(w, r)
		return
	}
	// The body is read before a place is taken: one who sends it byte by byte holds up nobody else.
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = readAhead(r.Body)
	}
	if !e.under.enter() {
		info.cause = errBusy
		setRetryAfter(w.Header(), shedPause)
		w.Header()["Cache-Control"] = noStore
		turnAway(w, r)
		return
	}
	defer e.under.leave()
	next.ServeHTTP(w, r)
}

// turnAway says that there is no place, to an app in the form of RFC 6749 §5.2: rendering a page would cost what is lacking.
func turnAway(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, errBusy.Message, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"error":"`+errBusy.Code+`","error_description":"`+errBusy.Message+`"}`)
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
