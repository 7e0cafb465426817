package api

import (
	"encoding/json"

	"ellis.example/caseservice/internal/cases"
)

// lexicon is what answers say that depends on the catalogue alone: rendered once, copied into each answer.
type lexicon struct {
	forms        map[string]*formWords
	appointments map[string]string // members title and bring of an appointment, by kind
	counted      []countedForm
}

// formWords are the words of one form. Values are members of objects, without the braces around them.
type formWords struct {
	form   string            // "form":{…}
	status map[string]string // "status":{…}, by status
	next   map[string]string // "next":{…}, by status
	stages map[string]string // "stage":{…},"stages":[…], by current stage
	events map[string]string // "code":…,"class":…,"title":…,"description":…, by code
}

// countedForm is the order in which stages are counted.
type countedForm struct {
	code   string
	stages []string
}

type stageWords struct {
	Code  string     `json:"code"`
	Title cases.Text `json:"title"`
	State string     `json:"state,omitempty"`
}

type eventWords struct {
	Code        string     `json:"code"`
	Class       string     `json:"class,omitempty"`
	Title       cases.Text `json:"title"`
	Description cases.Text `json:"description"`
}

func newLexicon(c *cases.Catalog) (*lexicon, error) {
	l := &lexicon{forms: map[string]*formWords{}, appointments: map[string]string{}}
	r := renderer{}
	for kind, a := range c.Appointments {
		l.appointments[kind] = r.member("title", a.Title) + "," + r.member("bring", a.Bring)
	}
	for _, code := range c.FormCodes() {
		f := c.Forms[code]
		l.forms[code] = r.formWords(c, f)
		l.counted = append(l.counted, countedForm{code, f.Stages})
	}
	return l, r.err
}

// renderer renders JSON and keeps the first error.
type renderer struct{ err error }

func (r *renderer) value(v any) string {
	text, err := json.Marshal(v)
	if r.err == nil {
		r.err = err
	}
	return string(text)
}

func (r *renderer) member(name string, v any) string { return `"` + name + `":` + r.value(v) }

func (r *renderer) formWords(c *cases.Catalog, f *cases.Form) *formWords {
	w := &formWords{status: map[string]string{}, next: map[string]string{}, stages: map[string]string{}, events: map[string]string{}}
	w.form = r.member("form", struct {
		Code  string     `json:"code"`
		Title cases.Text `json:"title"`
	}{f.Code, f.Title})
	for code, s := range f.Statuses {
		w.status[code] = r.member("status", eventWords{Code: code, Title: s.Title, Description: s.Description})
		w.next[code] = r.member("next", struct {
			Actor string     `json:"actor"`
			Title cases.Text `json:"actor_title"`
			What  cases.Text `json:"what"`
		}{s.Actor, c.Actors[s.Actor], s.What})
		w.events[code] = r.event(eventWords{code, s.Class, s.Title, s.Description})
	}
	for code, n := range c.Notices {
		w.events[code] = r.event(eventWords{code, n.Class, n.Title, n.Description})
	}
	titles := map[string]cases.Text{}
	for _, s := range c.Stages {
		titles[s.Code] = s.Title
	}
	for at, current := range f.Stages {
		all := make([]stageWords, len(f.Stages))
		for i, code := range f.Stages {
			all[i] = stageWords{code, titles[code], stateOf(i, at)}
		}
		w.stages[current] = r.member("stage", stageWords{Code: current, Title: titles[current]}) + "," + r.member("stages", all)
	}
	return w
}

func (r *renderer) event(e eventWords) string {
	text := r.value(e)
	return text[1 : len(text)-1]
}

func stateOf(i, current int) string {
	switch {
	case i < current:
		return "complete"
	case i == current:
		return "current"
	}
	return "upcoming"
}
