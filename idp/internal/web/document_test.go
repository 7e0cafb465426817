package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"ellis.example/idp/internal/web"
)

const documentPath = "/.well-known/thing"

// library serves one document, on both ways.
type library struct {
	*bench
	text string
	err  error
	h    http.Handler
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	l := &library{bench: newEdge(t, "https://id.example.org"), text: "one"}
	d := &web.Document{Type: "application/json", Age: time.Minute, Current: func(context.Context) ([]byte, string, error) {
		return []byte(l.text), `"` + l.text + `"`, l.err
	}}
	m := mux.NewRouter()
	m.Handle(documentPath, l.OAuth(d.Serve))
	l.h = l.Wrap(m)
	l.Publish(documentPath, d)
	return l
}

func (l *library) ask(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	l.h.ServeHTTP(w, r)
	return w
}

func (l *library) get() *http.Request {
	return request(http.MethodGet, "https://id.example.org"+documentPath)
}

func TestDocument_TheShortWayAnswersAsTheLongOneDoes(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	short := l.ask(l.get())
	if l.log.Len() != 0 || len(l.observed) != 1 || l.observed[0] != "GET "+documentPath {
		t.Fatalf("logged %q, counted %v", l.log.String(), l.observed)
	}
	long := l.get()
	long.ContentLength = 1 // whoever sends a body is looked at more closely
	long.Body = http.NoBody
	w := l.ask(long)
	id := w.Header().Get("X-Request-Id")
	w.Header().Del("X-Request-Id")
	if id == "" || l.log.Len() == 0 {
		t.Fatal("the other request did not go the long way")
	}
	if short.Code != http.StatusOK || short.Body.String() != "one" || w.Body.String() != "one" || !reflect.DeepEqual(short.Header(), w.Header()) {
		t.Errorf("short %d %v %s\nlong %d %v %s", short.Code, short.Header(), short.Body, w.Code, w.Header(), w.Body)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Content-Length": "3", "Cache-Control": "public, max-age=60", "Etag": `"one"`,
		"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
	} {
		if got := short.Header().Get(name); got != value {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestDocument_ANewTextIsSeenAtOnceAndAKnownOneIsNotSent(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	l.ask(l.get())
	l.text = "another"
	if w := l.ask(l.get()); w.Body.String() != "another" || w.Header().Get("Etag") != `"another"` || w.Header().Get("Content-Length") != "7" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	for tags, status := range map[string]int{`"another"`: 304, `W/"another"`: 304, `"one", "another"`: 304, `*`: 304, `"one"`: 200, ``: 200} {
		r := l.get()
		r.Header.Set("If-None-Match", tags)
		if w := l.ask(r); w.Code != status || (status == 304) != (w.Body.Len() == 0) {
			t.Errorf("%s: %d %s", tags, w.Code, w.Body)
		}
	}
}

func TestDocument_WhateverIsNoPlainGETGoesTheLongWay(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	host := l.get()
	host.Host = "evil.example"
	many := l.get()
	many.URL.RawQuery = strings.Repeat("a&", 200)
	for name, c := range map[string]struct {
		r      *http.Request
		status int
	}{
		"another host":    {host, http.StatusMisdirectedRequest},
		"HEAD":            {request(http.MethodHead, "https://id.example.org"+documentPath), http.StatusOK},
		"many parameters": {many, http.StatusBadRequest},
		"another path":    {request(http.MethodGet, "https://id.example.org"+documentPath+"/"), http.StatusNotFound},
	} {
		if w := l.ask(c.r); w.Code != c.status || (c.r.Method == http.MethodHead && w.Body.Len() != 0) || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	l.err = errors.New("nothing is known")
	if w := l.ask(l.get()); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "nothing is known") || !strings.Contains(l.log.String(), "nothing is known") {
		t.Errorf("without a text: %d %s", w.Code, w.Body)
	}
}
