package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/paper"
)

// ImportLine is one line of an import file: one case as JSON. docs/reference/case-import.md describes the format.
type ImportLine struct {
	Form         string              `json:"form"`
	Receipt      string              `json:"receipt"`   // made with random digits when empty
	Office       string              `json:"office"`    // three letters for a made receipt number; IOE when empty
	Submitted    string              `json:"submitted"` // YYYY-MM-DD
	Events       []ImportEvent       `json:"events"`
	Appointments []ImportAppointment `json:"appointments"`
	Claimable    bool                `json:"claimable"` // make a claim code
}

// ImportEvent is a status of the form's workflow, or a notice.
type ImportEvent struct {
	Code  string    `json:"code"`
	At    time.Time `json:"at"`
	Until string    `json:"until"` // YYYY-MM-DD: overrides the date that the workflow sets
}

// ImportAppointment is an appointment.
type ImportAppointment struct {
	Kind    string           `json:"kind"`
	At      time.Time        `json:"at"`
	State   AppointmentState `json:"state"` // scheduled when empty
	Place   string           `json:"place"`
	Address string           `json:"address"`
}

const (
	maxImportEvents = 500
	maxImportText   = 200
)

// ParseImportLine reads one line strictly: unknown members, trailing data and anything that the form's workflow does not
// allow are errors that name what to change. now bounds the times of what has happened already.
func ParseImportLine(line []byte, now time.Time) (Create, bool, error) {
	var in ImportLine
	if !utf8.Valid(line) {
		return Create{}, false, errors.New("the line is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return Create{}, false, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Create{}, false, errors.New("one JSON object a line: there is something after it")
	}
	c, err := in.create(now)
	return c, in.Claimable, err
}

func (in ImportLine) create(now time.Time) (Create, error) {
	form, ok := Workflows().Forms[in.Form]
	if !ok {
		return Create{}, fmt.Errorf("form: %q is none of %s", in.Form, strings.Join(Workflows().FormCodes(), ", "))
	}
	receipt, err := in.receipt()
	if err != nil {
		return Create{}, err
	}
	day, err := time.Parse(time.DateOnly, in.Submitted)
	if err != nil || day.After(now) {
		return Create{}, fmt.Errorf("submitted: %q is not a day YYYY-MM-DD in the past", in.Submitted)
	}
	out := Create{Case: form.Begin(ident.New("cas"), receipt, DateOf(day), day)}
	out.Events = []Event{{ID: ident.New("evt"), Seq: 1, Code: firstStatus, At: day}}
	if len(in.Events) > maxImportEvents || len(in.Appointments) > maxImportEvents {
		return Create{}, fmt.Errorf("at most %d events and appointments", maxImportEvents)
	}
	for i, e := range in.Events {
		if err := out.add(form, e, now); err != nil {
			return Create{}, fmt.Errorf("events[%d]: %w", i, err)
		}
	}
	for i, a := range in.Appointments {
		if err := out.appoint(a); err != nil {
			return Create{}, fmt.Errorf("appointments[%d]: %w", i, err)
		}
	}
	return out, nil
}

func (in ImportLine) receipt() (paper.Receipt, error) {
	if in.Receipt != "" {
		return paper.ParseReceipt(in.Receipt)
	}
	office := in.Office
	if office == "" {
		office = "IOE"
	}
	r, err := paper.NewReceipt(office)
	if err != nil {
		return "", fmt.Errorf("office: %q is not three letters", in.Office)
	}
	return r, nil
}

func (c *Create) add(form *Form, e ImportEvent, now time.Time) error {
	at := e.At.UTC().Truncate(time.Microsecond)
	if e.At.IsZero() || at.After(now) || at.Before(c.Case.UpdatedAt) {
		return fmt.Errorf("at: %s has to lie between the event before it (%s) and now", at.Format(time.RFC3339), c.Case.UpdatedAt.Format(time.RFC3339))
	}
	if _, notice := Workflows().Notices[e.Code]; notice {
		c.Case.UpdatedAt = at
	} else {
		next, err := form.Step(c.Case, e.Code, at)
		if err != nil {
			return fmt.Errorf("code: %w", err)
		}
		c.Case = next
	}
	if e.Until != "" {
		if err := c.date(e.Until); err != nil {
			return err
		}
	}
	c.Events = append(c.Events, Event{ID: ident.New("evt"), Seq: int64(len(c.Events) + 1), Code: e.Code, At: at})
	return nil
}

func (c *Create) date(until string) error {
	if _, err := time.Parse(time.DateOnly, until); err != nil {
		return fmt.Errorf("until: %q is not a day YYYY-MM-DD", until)
	}
	c.Case.Until = Date(until)
	if c.Case.UntilKind == "" {
		c.Case.UntilKind = Deadline
	}
	return nil
}

func (c *Create) appoint(a ImportAppointment) error {
	if _, ok := Workflows().Appointments[a.Kind]; !ok {
		return fmt.Errorf("kind: %q is none of biometrics, interview, oath", a.Kind)
	}
	switch a.State {
	case "":
		a.State = Scheduled
	case Scheduled, Completed, Missed, Cancelled:
	default:
		return fmt.Errorf("state: %q is none of scheduled, completed, missed, cancelled", a.State)
	}
	if a.At.IsZero() {
		return errors.New("at: missing")
	}
	for _, text := range []string{a.Place, a.Address} {
		if text == "" || len(text) > maxImportText || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("place, address: 1 to %d bytes each, without line ends and other control characters", maxImportText)
		}
	}
	c.Appointments = append(c.Appointments, Appointment{
		ID: ident.New("apt"), Kind: a.Kind, State: a.State,
		StartsAt: a.At.Truncate(time.Second), Place: a.Place, Address: a.Address,
	})
	return nil
}
