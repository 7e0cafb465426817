package caseapi

import "time"

// Text is one text in each language.
type Text struct {
	En string `json:"en"`
	Es string `json:"es"`
}

// In returns the text in a language; English where there is none.
func (t Text) In(lang string) string {
	if lang == "es" && t.Es != "" {
		return t.Es
	}
	return t.En
}

// Case is a case as its owner may see it.
type Case struct {
	ID      string `json:"id"`
	Receipt string `json:"receipt"`
	Form    struct {
		Code  string `json:"code"`
		Title Text   `json:"title"`
	} `json:"form"`
	Status struct {
		Code        string `json:"code"`
		Title       Text   `json:"title"`
		Description Text   `json:"description"`
	} `json:"status"`
	StatusSince     time.Time     `json:"status_since"`
	Stage           Stage         `json:"stage"`
	Stages          []Stage       `json:"stages"`
	Next            Next          `json:"next"`
	Until           *Date         `json:"until"`
	UntilKind       *string       `json:"until_kind"` // deadline, usual
	SubmittedOn     Date          `json:"submitted_on"`
	UpdatedAt       time.Time     `json:"updated_at"`
	NextAppointment *Appointment  `json:"next_appointment"`
	Appointments    []Appointment `json:"appointments"`
}

// Next is what happens next.
type Next struct {
	Actor      string `json:"actor"` // you, agency, post, nobody
	ActorTitle Text   `json:"actor_title"`
	What       Text   `json:"what"`
}

// Stage is a step of a case. State stands only in Case.Stages: complete, current, upcoming.
type Stage struct {
	Code  string `json:"code"`
	Title Text   `json:"title"`
	State string `json:"state"`
}

// Appointment is a date with a place. StartsAt keeps the offset of the place.
type Appointment struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Title    Text      `json:"title"`
	Bring    Text      `json:"bring"`
	State    string    `json:"state"` // scheduled, completed, missed, cancelled
	StartsAt time.Time `json:"starts_at"`
	Place    struct {
		Name    string `json:"name"`
		Address string `json:"address"`
	} `json:"place"`
}

// Event is something that happened to a case.
type Event struct {
	ID          string    `json:"id"`
	Code        string    `json:"code"`
	Class       string    `json:"class"` // decision, processing, housekeeping
	At          time.Time `json:"at"`
	Title       Text      `json:"title"`
	Description Text      `json:"description"`
}

// CasePage is one page of cases.
type CasePage struct {
	Items []Case  `json:"items"`
	Next  *string `json:"next"`
}

type eventPage struct {
	Items []Event `json:"items"`
	Next  *string `json:"next"`
	More  bool    `json:"more"`
}

type claimed struct {
	Case Case `json:"case"`
}

// Date is a day without a time: midnight UTC in Go.
type Date struct{ time.Time }

// UnmarshalJSON reads YYYY-MM-DD.
func (d *Date) UnmarshalJSON(b []byte) error {
	t, err := time.Parse(`"`+time.DateOnly+`"`, string(b))
	d.Time = t
	return err
}

// MarshalJSON writes YYYY-MM-DD.
func (d Date) MarshalJSON() ([]byte, error) { return []byte(`"` + d.Format(time.DateOnly) + `"`), nil }
