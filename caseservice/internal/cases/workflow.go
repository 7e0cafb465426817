package cases

import (
	"fmt"
	"slices"
	"time"

	"ellis.example/caseservice/internal/paper"
)

// Text is one text in each language.
type Text struct {
	En string `json:"en"`
	Es string `json:"es"`
}

// UntilKind says what a date beside a status means.
type UntilKind string

// The kinds of date.
const (
	NoDate   UntilKind = "none"     // there is none
	Deadline UntilKind = "deadline" // the actor has to act by then
	Usual    UntilKind = "usual"    // silence is normal until then
)

// Until is a number of days after a status began, with its meaning.
type Until struct {
	Kind UntilKind `json:"kind"`
	Days int       `json:"days"`
}

// Status is what happened last that counts, in the words of one form.
type Status struct {
	Code        string
	Stage       string `json:"stage"`
	Class       string `json:"class"`
	Title       Text   `json:"title"`
	Description Text   `json:"description"`
	Actor       string `json:"actor"` // you, agency, post, nobody
	What        Text   `json:"what"`  // what happens next
	Until       Until  `json:"until"`
}

// Transition is one line of a form's workflow table: who may move a case from one status to the next, and what date that
// sets (the status's own where the line has none).
type Transition struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Role  string `json:"role"` // intake, scheduler, officer, supervisor, system, applicant
	Until *Until `json:"until"`
}

// Form is one form with its workflow.
type Form struct {
	Code        string
	Title       Text
	Stages      []string // shown stages in order
	Transitions []Transition
	Statuses    map[string]*Status
}

// Notice is an event that changes no status.
type Notice struct {
	Code        string
	Class       string `json:"class"`
	Title       Text   `json:"title"`
	Description Text   `json:"description"`
}

// AppointmentKind has the words of one kind of appointment.
type AppointmentKind struct {
	Title Text `json:"title"`
	Bring Text `json:"bring"`
}

// Catalog is every form with every word that the service says.
type Catalog struct {
	Forms        map[string]*Form
	Stages       []Stage
	Actors       map[string]Text
	Notices      map[string]*Notice
	Appointments map[string]AppointmentKind
}

// Stage is a shown stage.
type Stage struct {
	Code  string `json:"code"`
	Title Text   `json:"title"`
}

// The status in which every case begins, and the one that may take the shown stage back.
const (
	firstStatus    = "submitted"
	reopenedStatus = "reopened"
)

// The notices that the service itself writes.
const (
	NoticeClaimed  = "claimed"
	NoticeAssigned = "assigned"
)

// Begin returns a new case of the form, submitted on the given day.
func (f *Form) Begin(id string, r paper.Receipt, on Date, at time.Time) Case {
	c := Case{ID: id, Receipt: r, Form: f.Code, SubmittedOn: on}
	return f.enter(c, f.Statuses[firstStatus], nil, at)
}

// Step moves a case to a status. It fails when the workflow table of the form has no such line, or when at is before the
// case's last event.
func (f *Form) Step(c Case, to string, at time.Time) (Case, error) {
	i := slices.IndexFunc(f.Transitions, func(t Transition) bool { return t.From == c.Status && t.To == to })
	if i < 0 {
		return c, fmt.Errorf("%s does not go from %s to %s; from there it goes to %v", f.Code, c.Status, to, f.After(c.Status))
	}
	if at.Before(c.UpdatedAt) {
		return c, fmt.Errorf("%s happened before the event that it follows", to)
	}
	return f.enter(c, f.Statuses[to], f.Transitions[i].Until, at), nil
}

// After returns the statuses that may follow, in the table's order.
func (f *Form) After(status string) []string {
	var out []string
	for _, t := range f.Transitions {
		if t.From == status {
			out = append(out, t.To)
		}
	}
	return out
}

func (f *Form) enter(c Case, s *Status, until *Until, at time.Time) Case {
	if until == nil {
		until = &s.Until
	}
	c.Status, c.StatusSince, c.UpdatedAt = s.Code, at, at
	c.Until, c.UntilKind = "", ""
	if until.Kind == Deadline || until.Kind == Usual {
		c.Until, c.UntilKind = DateOf(at.AddDate(0, 0, until.Days)), until.Kind
	}
	if s.Code == reopenedStatus || f.stageIndex(s.Stage) > f.stageIndex(c.Stage) {
		c.Stage = s.Stage
	}
	return c
}

// stageIndex is the place of a stage in the form's order; -1 for none.
func (f *Form) stageIndex(code string) int { return slices.Index(f.Stages, code) }
