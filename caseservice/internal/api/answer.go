package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

var jsonType = []string{"application/json"}

func writeBody(w http.ResponseWriter, status int, contentType []string, body []byte) (whole bool) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err == nil // else, the client may be gone
}

// ok is the answer to a read.
func (c *call) ok(body []byte) reply {
	return reply{status: http.StatusOK, body: body, etag: etag(c.caller.Sub, body)}
}

// etag is a strong validator: it changes with every byte of the body, and differs between people.
func etag(sub string, body []byte) string {
	h := sha256.New()
	var room [2 * sha256.BlockSize]byte
	_, _ = h.Write(append(append(room[:0], sub...), 0)) // hash writes never fail
	_, _ = h.Write(body)
	sum := h.Sum(room[:0])
	tag := append(make([]byte, 0, len(room)), '"')
	return string(append(base64.RawURLEncoding.AppendEncode(tag, sum[:16]), '"'))
}

// matches reports whether an If-None-Match header names the tag (RFC 9110 §13.1.2; the comparison is weak).
func matches(lines []string, tag string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			part = strings.TrimSpace(part)
			if part == "*" || strings.TrimPrefix(part, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// document is a public document, rendered once.
type document struct {
	contentType []string
	body        []byte
	etag        string
}

func newDocument(contentType string, body []byte) *document {
	return &document{[]string{contentType}, body, etag("", body)}
}

var publicCache = []string{"public, max-age=300"}

// ServeHTTP implements http.Handler. The answer depends on nothing in the request.
func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Cache-Control"] = publicCache
	w.Header()["Etag"] = []string{d.etag}
	if matches(r.Header["If-None-Match"], d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeBody(w, http.StatusOK, d.contentType, d.body)
}
