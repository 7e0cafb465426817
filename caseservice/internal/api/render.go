package api

import (
	"fmt"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/chain"
)

// sizes that answers have, so that they grow once.
const (
	caseSize  = 5 << 10
	eventSize = 640
)

// appendTime renders a time in microseconds (RFC 3339), in the one layout that the library knows a short way for.
func appendTime(b []byte, name string, t time.Time) []byte {
	b = append(b, name...)
	return append(t.Truncate(time.Microsecond).AppendFormat(b, time.RFC3339Nano), '"')
}

// appendCase renders a case (schema Case). now decides which appointment is the next one. It fails when the case says
// what this release has no words for.
func (l *lexicon) appendCase(b []byte, f *cases.File, now time.Time) ([]byte, error) {
	w := l.forms[f.Form]
	if w == nil || w.status[f.Status] == "" || w.stages[f.Stage] == "" {
		return nil, fmt.Errorf("case %s: no words for form %q in status %q and stage %q", f.ID, f.Form, f.Status, f.Stage)
	}
	b = append(b, `{"id":`...)
	b = chain.AppendString(b, f.ID)
	b = append(b, `,"receipt":`...)
	b = chain.AppendString(b, f.Receipt)
	b = append(append(b, ','), w.form...)
	b = append(append(b, ','), w.status[f.Status]...)
	b = appendTime(b, `,"status_since":"`, f.StatusSince)
	b = append(append(b, ','), w.stages[f.Stage]...)
	b = append(append(b, ','), w.next[f.Status]...)
	b = appendDate(b, `,"until":`, string(f.Until))
	b = appendDate(b, `,"until_kind":`, string(f.UntilKind))
	b = append(b, `,"submitted_on":`...)
	b = chain.AppendString(b, f.SubmittedOn)
	b = appendTime(b, `,"updated_at":"`, f.UpdatedAt)
	b, err := l.appendAppointments(b, f.Appointments, now)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", f.ID, err)
	}
	b = append(b, `,"relationship":`...)
	return append(chain.AppendString(b, f.Relationship), '}'), nil
}

// appendDate renders a text that may be absent.
func appendDate(b []byte, name, value string) []byte {
	b = append(b, name...)
	if value == "" {
		return append(b, "null"...)
	}
	return chain.AppendString(b, value)
}

func (l *lexicon) appendAppointments(b []byte, all []cases.Appointment, now time.Time) (_ []byte, err error) {
	b = append(b, `,"next_appointment":`...)
	if next := nextOf(all, now); next == nil {
		b = append(b, "null"...)
	} else if b, err = l.appendAppointment(b, next); err != nil {
		return nil, err
	}
	b = append(b, `,"appointments":[`...)
	for i := range all {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = l.appendAppointment(b, &all[i]); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// nextOf returns the first appointment that is scheduled and not past; all of them are oldest first.
func nextOf(all []cases.Appointment, now time.Time) *cases.Appointment {
	for i := range all {
		if all[i].State == cases.Scheduled && !all[i].StartsAt.Before(now) {
			return &all[i]
		}
	}
	return nil
}

func (l *lexicon) appendAppointment(b []byte, a *cases.Appointment) ([]byte, error) {
	words := l.appointments[a.Kind]
	if words == "" {
		return nil, fmt.Errorf("no words for appointments of kind %q", a.Kind)
	}
	b = append(b, `{"id":`...)
	b = chain.AppendString(b, a.ID)
	b = append(b, `,"kind":`...)
	b = chain.AppendString(b, a.Kind)
	b = append(append(b, ','), words...)
	b = append(b, `,"state":`...)
	b = chain.AppendString(b, a.State)
	b = appendTime(b, `,"starts_at":"`, a.StartsAt)
	b = append(b, `,"place":{"name":`...)
	b = chain.AppendString(b, a.Place)
	b = append(b, `,"address":`...)
	return append(chain.AppendString(b, a.Address), '}', '}'), nil
}

// appendEvent renders an event of a case of the form (schema Event).
func (l *lexicon) appendEvent(b []byte, form string, e *cases.Event) ([]byte, error) {
	w := l.forms[form]
	if w == nil || w.events[e.Code] == "" {
		return nil, fmt.Errorf("event %s: no words for %q of form %q", e.ID, e.Code, form)
	}
	b = append(b, `{"id":`...)
	b = chain.AppendString(b, e.ID)
	b = appendTime(b, `,"at":"`, e.At)
	b = append(append(b, ','), w.events[e.Code]...)
	return append(b, '}'), nil
}

// appendNext renders the member next of a page.
func appendNext(b []byte, cursor string) []byte {
	return appendDate(b, `],"next":`, cursor)
}
