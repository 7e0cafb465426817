package overload

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// capped is one limit of one service, from both sides.
type capped struct {
	what   string
	port   int
	target string
	fields string // further header fields, each with its end of line
	kind   string // of the body
	within string // body that is answered in some other way
	beyond string // body that is refused
	status int
	says   string // in the refusal
}

// form is so many parameters.
func form(n int) string { return strings.TrimSuffix(strings.Repeat("a=b&", n), "&") }

// nested is JSON of so many levels.
func nested(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }

func caps(p launch.ServicePorts) (out []capped) {
	for name, s := range map[string]struct {
		port     int
		form     string // takes a form
		most     int    // bytes of a body
		field    string // of errors that apps read
		readable string // says that an error is meant for a person
	}{
		"idp":     {p.IDP, "/token", 64 << 10, "error", ""},
		"caseapi": {p.CaseAPI, "/v1/claims", 16 << 10, "code", ""},
		"portal":  {p.Portal, "/language", 16 << 10, "code", "Accept: text/html\r\n"},
	} {
		fill := func(n int) string { return "a=" + strings.Repeat("x", n-2) }
		out = append(
			out,
			capped{name + " body", s.port, s.form, "", formType, fill(s.most), fill(s.most + 1), http.StatusRequestEntityTooLarge, `"` + s.field + `":`},
			capped{name + " form", s.port, s.form, "", formType, form(100), form(101), http.StatusBadRequest, "parameters"},
			capped{name + " body of a person", s.port, s.form, s.readable, formType, fill(s.most), fill(s.most + 1), http.StatusRequestEntityTooLarge, "too large"},
		)
	}
	return append(
		out,
		capped{"idp depth", p.IDP, "/events/poll", "", jsonType, nested(8), nested(9), http.StatusBadRequest, "nested too deeply"},
		capped{"caseapi depth", p.CaseAPI, "/v1/claims", "", jsonType, nested(8), nested(9), http.StatusBadRequest, "json_depth"},
	)
}

// raw sends text on a connection of its own and returns the answer.
func raw(port int, text string) (a agent.Answer, err error) {
	nc, err := net.Dial("tcp", launch.Loopback(port))
	if err != nil {
		return a, err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(40 * time.Second)); err != nil {
		return a, err
	}
	go func() { _, _ = io.WriteString(nc, text) }() // the answer may come before all of it was taken
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return agent.Answer{Status: res.StatusCode, Header: res.Header, Body: body}, err
}

func post(port int, target, fields, kind, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s", target, port, kind, len(body), fields, body)
}

// wants checks that an answer is a clear refusal.
func (s *system) wants(what string, a agent.Answer, err error, status int, says string) {
	s.Helper()
	if err != nil || a.Status != status || !strings.Contains(string(a.Body), says) || a.Header.Get("X-Request-Id") == "" {
		s.Errorf("%s: %d %v %.200s (%v)", what, a.Status, a.Header, a.Body, err)
	}
	if strings.Contains(a.Header.Get("Content-Type"), "json") && !json.Valid(a.Body) {
		s.Errorf("%s: no JSON: %s", what, a.Body)
	}
}

func TestCaps_WhatIsBeyondThemIsRefusedClearly(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, c := range caps(s.cfg.Ports) {
		a, err := raw(c.port, post(c.port, c.target, c.fields, c.kind, c.beyond))
		s.wants(c.what, a, err, c.status, c.says)
		if a, err := raw(c.port, post(c.port, c.target, c.fields, c.kind, c.within)); err != nil || !orderly(a) || (a.Status == c.status && strings.Contains(string(a.Body), c.says)) {
			t.Errorf("%s, within: %d %.200s (%v)", c.what, a.Status, a.Body, err)
		}
	}
	var all sync.WaitGroup
	for name, port := range map[string]int{"idp": s.cfg.Ports.IDP, "caseapi": s.cfg.Ports.CaseAPI, "portal": s.cfg.Ports.Portal} {
		head := fmt.Sprintf("GET /signin HTTP/1.1\r\nHost: localhost:%d\r\n", port)
		var fields strings.Builder
		for i := range 101 {
			fmt.Fprintf(&fields, "X-Field-%d: x\r\n", i)
		}
		a, err := raw(port, head+fields.String()+"\r\n")
		s.wants(name+" header fields", a, err, http.StatusRequestHeaderFieldsTooLarge, "header fields")
		a, err = raw(port, head+strings.Repeat("a:\r\n", 101)+"\r\n")
		s.wants(name+" lines of one field", a, err, http.StatusRequestHeaderFieldsTooLarge, "header fields")
		a, err = raw(port, strings.Replace(head, "/signin", "/signin?"+form(101), 1)+"\r\n")
		s.wants(name+" query", a, err, http.StatusBadRequest, "parameters")
		if a, err = raw(port, head+"X-Long: "+strings.Repeat("x", 40<<10)+"\r\n\r\n"); a.Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s header: %d %s (%v)", name, a.Status, a.Body, err)
		}
		all.Go(func() {
			began := time.Now()
			a, err := raw(port, head) // the header does not end
			if took := time.Since(began); a.Status != 0 || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || took > 20*time.Second {
				t.Errorf("%s slow header: %d after %v (%v)", name, a.Status, took, err)
			}
		})
		all.Go(func() {
			a, err := raw(port, fmt.Sprintf("POST /signin HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 100\r\n\r\nhalf", port))
			s.wants(name+" slow body", a, err, http.StatusRequestTimeout, "took too long to arrive")
		})
	}
	all.Wait()
	s.alive()
}
