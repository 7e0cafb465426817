package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ellis.example/idp/internal/shed"
)

// Document is what anybody may read from any origin, and what is the same for all who do: discovery and keys. Libraries of
// relying parties and APIs fetch it more often than anything else.
type Document struct {
	Type string        // Content-Type
	Age  time.Duration // how long anybody may keep it
	// Current returns the present text and its entity tag, which is another for every other text.
	Current func(context.Context) (body []byte, etag string, err error)

	last atomic.Pointer[version]
}

// version is one text with its header, rendered once.
type version struct {
	body                         []byte
	etag, kind, length, lifetime []string
}

// Publish lets GET of a path be answered on a short way: it is counted like any other request, and has no line in the log,
// no id and no place among the requests that are worked on. Everything that is not such a plain GET goes to the router.
// It is called before anything is served.
func (e *Edge) Publish(path string, d *Document) { e.documents[path] = d }

// published answers a request on the short way, or reports that it has to go the long one.
func (e *Edge) published(w http.ResponseWriter, r *http.Request) bool {
	d := e.documents[r.URL.Path]
	if d == nil || r.Method != http.MethodGet || r.ContentLength != 0 || e.cfg.Trace != nil || !strings.EqualFold(r.Host, e.cfg.Issuer.Host) || shed.HeadInBounds(r) != nil {
		return false
	}
	began := time.Now() //nolint:forbidigo // it measures, and decides nothing
	v, err := d.current(r.Context())
	if err != nil {
		return false // who answers there says what is wrong
	}
	e.headers(w.Header())
	status := d.answer(w, r, v)
	if e.cfg.Observe != nil {
		e.cfg.Observe(r.URL.Path, r.Method, status, time.Since(began))
	}
	return true
}

// Serve answers GET and HEAD. Errors: those of Current.
func (d *Document) Serve(w http.ResponseWriter, r *http.Request) error {
	v, err := d.current(r.Context())
	if err == nil {
		d.answer(w, r, v)
	}
	return err
}

// current returns the present version.
func (d *Document) current(ctx context.Context) (*version, error) {
	body, etag, err := d.Current(ctx)
	if err != nil {
		return nil, err
	}
	if v := d.last.Load(); v != nil && v.etag[0] == etag {
		return v, nil
	}
	v := &version{
		body: body, etag: []string{etag}, kind: []string{d.Type}, length: []string{strconv.Itoa(len(body))}, // else it goes in chunks
		lifetime: []string{"public, max-age=" + strconv.Itoa(int(d.Age/time.Second))},
	}
	d.last.Store(v)
	return v, nil
}

var anyOrigin = []string{"*"}

func (d *Document) answer(w http.ResponseWriter, r *http.Request, v *version) int {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Cache-Control"] = v.lifetime
	h["Etag"] = v.etag
	if matches(r.Header.Get("If-None-Match"), v.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	h["Content-Type"] = v.kind
	h["Content-Length"] = v.length
	if r.Method != http.MethodHead {
		_, _ = w.Write(v.body) // the client may be gone
	}
	return http.StatusOK
}

// matches compares entity tags weakly (RFC 9110 §13.1.2).
func matches(header, etag string) bool {
	if header == "" {
		return false
	}
	for tag := range strings.SplitSeq(header, ",") {
		if t := strings.TrimPrefix(strings.TrimSpace(tag), "W/"); t == etag || t == "*" {
			return true
		}
	}
	return false
}
