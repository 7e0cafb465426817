package cases

import (
	"context"
	"time"

	"ellis.example/caseservice/internal/paper"
)

// Case is one form on its way. Times are UTC with microseconds.
type Case struct {
	ID          string
	Receipt     paper.Receipt
	Form        string
	Status      string
	Stage       string // shown stage: it never goes back, except when a case is reopened
	StatusSince time.Time
	SubmittedOn Date
	UpdatedAt   time.Time // time of the last event; it never moves without one
	Until       Date      // "" when there is none
	UntilKind   UntilKind
}

// Date is a calendar day, YYYY-MM-DD.
type Date string

// DateOf returns the day of t in UTC.
func DateOf(t time.Time) Date { return Date(t.UTC().Format(time.DateOnly)) }

// Event is one entry of a case's history. Its words are in the catalogue, under its code.
type Event struct {
	ID   string
	Seq  int64 // place in the case's history, from 1
	Code string
	At   time.Time
}

// Appointment is a date with a place. StartsAt carries the UTC offset of the place.
type Appointment struct {
	ID       string
	Kind     string
	State    AppointmentState
	StartsAt time.Time
	Place    string
	Address  string
}

// AppointmentState says what became of an appointment.
type AppointmentState string

// The states of an appointment.
const (
	Scheduled AppointmentState = "scheduled"
	Completed AppointmentState = "completed"
	Missed    AppointmentState = "missed"
	Cancelled AppointmentState = "cancelled"
)

// File is a case with what is shown beside it, and with the caller's relationship to it.
type File struct {
	Case
	Relationship Relationship
	Appointments []Appointment // oldest first
}

// Position is a place in a person's list of cases: the list is ordered by UpdatedAt and ID, both descending. The zero
// Position is the beginning.
type Position struct {
	UpdatedAt time.Time
	ID        string
}

// Count is how many cases of a form stand in a stage.
type Count struct {
	Form  string
	Stage string
	N     int64
}

// Reader is what the service asks of a store.
type Reader interface {
	// File returns the case and sub's relationship to it. ok is false when there is no such case.
	File(ctx context.Context, sub, id string) (f File, ok bool, err error)
	// FileByReceipt is File by receipt number.
	FileByReceipt(ctx context.Context, sub string, r paper.Receipt) (f File, ok bool, err error)
	// List returns at most limit cases that sub has a relationship to, after the given position.
	List(ctx context.Context, sub string, after Position, limit int) ([]File, error)
	// Events returns at most limit events of a case with Seq > after, oldest first.
	Events(ctx context.Context, caseID string, after int64, limit int) ([]Event, error)
	// Counts returns how many cases there are by form and stage.
	Counts(ctx context.Context) ([]Count, error)
}
