package cases

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

//go:embed workflow/*.json
var workflowFiles embed.FS

// Workflows returns the embedded catalogue. It is read once; a mistake in the embedded data stops the program at its
// start, which a test does first.
var Workflows = sync.OnceValue(func() *Catalog {
	c, err := loadCatalog()
	if err != nil {
		panic("embedded workflow tables: " + err.Error())
	}
	return c
})

type catalogFile struct {
	Stages       []Stage                    `json:"stages"`
	Actors       map[string]Text            `json:"actors"`
	Statuses     map[string]Status          `json:"statuses"`
	Notices      map[string]*Notice         `json:"notices"`
	Appointments map[string]AppointmentKind `json:"appointments"`
}

type formFile struct {
	Code        string                     `json:"code"`
	Title       Text                       `json:"title"`
	Stages      []string                   `json:"stages"`
	Transitions []Transition               `json:"transitions"`
	Texts       map[string]json.RawMessage `json:"texts"` // what differs from the catalogue's status
}

func loadCatalog() (*Catalog, error) {
	var base catalogFile
	if err := readData("catalog.json", &base); err != nil {
		return nil, err
	}
	out := &Catalog{Forms: map[string]*Form{}, Stages: base.Stages, Actors: base.Actors, Notices: base.Notices, Appointments: base.Appointments}
	for code, n := range out.Notices {
		n.Code = code
	}
	entries, err := workflowFiles.ReadDir("workflow")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() == "catalog.json" {
			continue
		}
		f, err := loadForm(e.Name(), base)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		out.Forms[f.Code] = f
	}
	return out, nil
}

func readData(name string, into any) error {
	text, err := workflowFiles.ReadFile("workflow/" + name)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func loadForm(name string, base catalogFile) (*Form, error) {
	var file formFile
	if err := readData(name, &file); err != nil {
		return nil, err
	}
	f := &Form{Code: file.Code, Title: file.Title, Stages: file.Stages, Transitions: file.Transitions, Statuses: map[string]*Status{}}
	used := []string{firstStatus}
	for _, t := range file.Transitions {
		used = append(used, t.From, t.To)
	}
	for _, code := range used {
		if f.Statuses[code] != nil {
			continue
		}
		s, ok := base.Statuses[code]
		if !ok {
			return nil, fmt.Errorf("unknown status %q", code)
		}
		if own, ok := file.Texts[code]; ok {
			if err := json.Unmarshal(own, &s); err != nil {
				return nil, err
			}
		}
		s.Code = code
		f.Statuses[code] = &s
	}
	return f, f.check(base)
}

// check finds what would make a case of the form unshowable.
func (f *Form) check(base catalogFile) error {
	for code, s := range f.Statuses {
		if f.stageIndex(s.Stage) < 0 {
			return fmt.Errorf("status %s stands in stage %q, which the form does not show", code, s.Stage)
		}
		if _, ok := base.Actors[s.Actor]; !ok {
			return fmt.Errorf("status %s: unknown actor %q", code, s.Actor)
		}
	}
	for _, code := range f.Stages {
		if !slices.ContainsFunc(base.Stages, func(s Stage) bool { return s.Code == code }) {
			return fmt.Errorf("unknown stage %q", code)
		}
	}
	return nil
}

// FormCodes returns the codes of all forms, sorted.
func (c *Catalog) FormCodes() []string { return slices.Sorted(maps.Keys(c.Forms)) }
