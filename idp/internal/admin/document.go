package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
)

const maxDocument = 1 << 20

// document is what `idp apply` reads.
type document struct {
	APIs    []api.API     `yaml:"apis"`
	Clients []clientEntry `yaml:"clients"`

	lines yaml.Node
}

// Result is what Apply did, entry by entry in the order of the document.
type Result struct {
	APIs    []APIResult    `json:"apis"`
	Clients []ClientResult `json:"clients"`
}

// Apply makes the registry say what a YAML document says of the APIs and clients in it; others stay as they are. The whole
// document is checked before anything is changed. Applying it again changes nothing. Errors: a fault of kind Invalid with one
// line for each problem; ErrMeanwhile, with the result up to there.
func (a *Admin) Apply(ctx context.Context, doc []byte, by string) (Result, error) {
	d, err := parse(doc)
	if err != nil {
		return Result{}, err
	}
	s, err := a.state(ctx)
	if err != nil {
		return Result{}, err
	}
	plan, err := s.plan(d, a.d.Clock.Now(), by)
	if err != nil {
		return Result{}, err
	}
	r := Result{APIs: []APIResult{}, Clients: []ClientResult{}}
	for _, p := range plan {
		if err := a.commit(ctx, p); err != nil {
			return r, err
		}
		if p.api.ID != "" {
			r.APIs = append(r.APIs, p.api)
		} else {
			r.Clients = append(r.Clients, p.client)
		}
	}
	return r, nil
}

// plan works out every change, APIs first. It sees the registry as it will be after the document: entries may refer to each
// other.
func (s *state) plan(d *document, now time.Time, by string) (out []planned, err error) {
	after := &state{slices.Clone(s.apis), slices.Clone(s.clients)}
	for _, a := range d.APIs {
		after.setAPI(a.WithDefaults())
	}
	for _, c := range d.Clients {
		after.setClient(normal(c.Client))
	}
	var problems []string
	note := func(list string, i int, err error) {
		for line := range strings.SplitSeq(fault.Of(err).Message, "\n") {
			problems = append(problems, d.place(list, i, line)+line)
		}
	}
	problems = append(problems, d.twice()...)
	for i, a := range d.APIs {
		p, err := (&state{after.apis, after.clients}).planAPI(a, by)
		if err == nil {
			p, err = (&state{s.justAPI(a.ID), after.clients}).planAPI(a, by)
		}
		if err != nil {
			note("apis", i, err)
		}
		out = append(out, p)
	}
	for i, c := range d.Clients {
		p, err := (&state{after.apis, s.beside(after, c.ID)}).planClient(c, now, by)
		if err != nil {
			note("clients", i, err)
		}
		out = append(out, p)
	}
	return out, refuse(problems)
}

// justAPI returns the API with an id as it stands, if it does.
func (s *state) justAPI(id string) []api.API {
	if a := s.api(id); a != nil {
		return []api.API{*a}
	}
	return nil
}

// beside returns the clients as they will be, but for the one with the given id, which is as it stands.
func (s *state) beside(after *state, id string) (out []client.Client) {
	for _, c := range after.clients {
		if c.ID != id {
			out = append(out, c)
		}
	}
	if c := s.client(id); c != nil {
		out = append(out, *c)
	}
	return out
}

func (s *state) setAPI(a api.API) {
	if old := s.api(a.ID); old != nil {
		*old = a
		return
	}
	s.apis = append(s.apis, a)
}

func (s *state) setClient(c client.Client) {
	if old := s.client(c.ID); old != nil {
		*old = c
		return
	}
	s.clients = append(s.clients, c)
}

// twice names ids that stand in the document more than once.
func (d *document) twice() (problems []string) {
	seen := map[string]bool{}
	check := func(list string, i int, key, id string) {
		if seen[list+id] {
			problems = append(problems, d.place(list, i, key)+key+": "+strconv.Quote(id)+" is there twice")
		}
		seen[list+id] = true
	}
	for i, a := range d.APIs {
		check("apis", i, "id: ", a.ID)
	}
	for i, c := range d.Clients {
		check("clients", i, "client_id: ", c.ID)
	}
	return problems
}

// place returns "line N: " of entry i of a list: the line of the field that a problem names, else that of the entry.
func (d *document) place(list string, i int, problem string) string {
	entries := member(&d.lines, list)
	if entries == nil || i >= len(entries.Content) {
		return ""
	}
	n := entries.Content[i]
	line := n.Line
	for k := 0; k+1 < len(n.Content); k += 2 {
		if strings.Contains(problem, ": "+n.Content[k].Value+": ") || strings.HasPrefix(problem, n.Content[k].Value+": ") || strings.Contains(problem, ": "+n.Content[k].Value+"[") {
			line = n.Content[k].Line
		}
	}
	return fmt.Sprintf("line %d: ", line)
}

// member returns the value of a key in a mapping.
func member(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	for k := 0; k+1 < len(n.Content); k += 2 {
		if n.Content[k].Value == key {
			return n.Content[k+1]
		}
	}
	return nil
}

// inType is what the decoder says about our types; nobody needs to know their names.
var inType = regexp.MustCompile(`field (\S+) not found in type \S+`)

// parse reads a document strictly: unknown keys are errors with their line. Errors: a fault of kind Invalid.
func parse(text []byte) (*document, error) {
	if len(text) > maxDocument {
		return nil, refuse([]string{"the document is larger than 1 MiB"})
	}
	var d document
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(err)
	}
	if err := dec.Decode(&document{}); !errors.Is(err, io.EOF) {
		return nil, refuse([]string{"write one document; remove what follows the second ---"})
	}
	if err := yaml.Unmarshal(text, &d.lines); err != nil {
		return nil, unreadable(err)
	}
	return &d, nil
}

func unreadable(err error) error {
	lines := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var t *yaml.TypeError
	if errors.As(err, &t) {
		lines = t.Errors
	}
	for i, l := range lines {
		lines[i] = inType.ReplaceAllString(l, `unknown key "$1"`)
	}
	return refuse(slices.Clone(lines))
}
