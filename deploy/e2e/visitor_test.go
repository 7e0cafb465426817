package e2e

import (
	"testing"

	"ellis.example/deploy/internal/agent"
)

// visitor is somebody with a browser: Chromium, or one without a screen that runs no scripts. What goes wrong fails the
// test.
type visitor interface {
	// Open goes to an address, relative to the page.
	Open(ref string)
	// Submit fills the first form that has all the named fields and presses its button that has part in its name, value,
	// text, or the form's action.
	Submit(part string, fields map[string]string)
	// Follow takes the first link whose text or target contains part.
	Follow(part string)
	URL() string
	Status() int
	HTML() string
	Text() string
	Heading() string
}

var (
	_ visitor = (*tab)(nil)
	_ visitor = (*plain)(nil)
)

// plain is a visitor without a screen, for what need not be seen: it costs next to nothing.
type plain struct {
	t *testing.T
	a *agent.Agent
}

func newPlain(t *testing.T) *plain { return &plain{t, agent.New()} }

func (p *plain) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// Open implements visitor.
func (p *plain) Open(ref string) { p.t.Helper(); p.must(p.a.Get(p.t.Context(), ref)) }

// Submit implements visitor.
func (p *plain) Submit(part string, fields map[string]string) {
	p.t.Helper()
	p.must(p.a.Submit(p.t.Context(), part, fields))
}

// Follow implements visitor.
func (p *plain) Follow(part string) { p.t.Helper(); p.must(p.a.Follow(p.t.Context(), part)) }

// URL implements visitor.
func (p *plain) URL() string { return p.a.Page.URL.String() }

// Status implements visitor.
func (p *plain) Status() int { return p.a.Page.Status }

// HTML implements visitor.
func (p *plain) HTML() string { return p.a.Page.Body }

// Text implements visitor.
func (p *plain) Text() string { return p.a.Page.Text }

// Heading implements visitor.
func (p *plain) Heading() string { return textOf(headingText, p.a.Page.Body) }
