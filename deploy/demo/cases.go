package main

import (
	"bytes"
	"encoding/json"
	"time"
)

// The owners of the demo's cases: the index of a person, or nobody.
const (
	ana    = 0
	sam    = 1
	nobody = -1
)

// importCase is a line of the file that `caseservice case import` reads, and whose case it becomes.
type importCase struct {
	owner int

	Form         string              `json:"form"`
	Submitted    string              `json:"submitted"`
	Events       []importEvent       `json:"events"`
	Appointments []importAppointment `json:"appointments,omitempty"`
	Claimable    bool                `json:"claimable"`
}

type importEvent struct {
	Code string    `json:"code"`
	At   time.Time `json:"at"`
}

type importAppointment struct {
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	State   string    `json:"state,omitempty"`
	Place   string    `json:"place"`
	Address string    `json:"address"`
}

// The offices are as fictional as the people.
const (
	supportCenter = "Riverton Application Support Center"
	supportStreet = "210 Harbor Street, Riverton"
	fieldOffice   = "Riverton Field Office"
	fieldStreet   = "40 Courthouse Square, 3rd floor, Riverton"
)

// calendar makes days around the start of the demo, so that appointments lie ahead whenever it starts.
type calendar struct{ now time.Time }

// office is the time zone of the fictional offices.
func office() *time.Location { return time.FixedZone("", -5*60*60) }

// ago is the morning that many days before now.
func (c calendar) ago(days int) time.Time { return c.day(-days).Add(8 * time.Hour) }

// ahead is a working day at least that many days from now, at an hour of the office.
func (c calendar) ahead(days, hour int) time.Time {
	d := c.day(days)
	for d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
		d = d.AddDate(0, 0, 1)
	}
	return d.Add(time.Duration(hour) * time.Hour)
}

func (c calendar) day(offset int) time.Time {
	t := c.now.In(office()).AddDate(0, 0, offset)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, office())
}

// event is a status that began so many days ago.
func (c calendar) event(code string, days int) importEvent { return importEvent{code, c.ago(days)} }

func (c calendar) one(owner int, form string, submitted int, events ...importEvent) importCase {
	return importCase{owner: owner, Form: form, Submitted: c.ago(submitted).Format(time.DateOnly), Events: events, Claimable: owner == nobody}
}

func (i importCase) with(kind string, at time.Time, place, address string) importCase {
	i.Appointments = append(i.Appointments, importAppointment{Kind: kind, At: at, Place: place, Address: address})
	return i
}

// cases are in different forms and stages: with an appointment ahead, waiting for the person, waiting for the agency, done.
func (c calendar) cases() []importCase {
	i485 := c.one(ana, "I-485", 320, c.event("received", 309), c.event("biometrics_scheduled", 290), c.event("biometrics_taken", 268), c.event("under_review", 240), c.event("interview_scheduled", 9))
	i485.Appointments = []importAppointment{{"biometrics", c.ago(268).Add(time.Hour), "completed", supportCenter, supportStreet}}
	return []importCase{
		i485.with("interview", c.ahead(19, 9), fieldOffice, fieldStreet),
		c.one(ana, "I-765", 318, c.event("received", 309), c.event("biometrics_scheduled", 290), c.event("biometrics_taken", 268), c.event("under_review", 255), c.event("approved", 12), c.event("card_produced", 8), c.event("card_mailed", 3)),
		c.one(sam, "N-400", 260, c.event("received", 250), c.event("biometrics_scheduled", 235), c.event("biometrics_taken", 214), c.event("under_review", 200), c.event("interview_scheduled", 60), c.event("interview_completed", 20), c.event("approved", 15), c.event("oath_scheduled", 6)).
			with("oath", c.ahead(24, 10), "Riverton City Hall", "1 Market Square, Riverton"),
		c.one(sam, "I-130", 190, c.event("received", 176), c.event("under_review", 120), c.event("rfe_sent", 18)),
		c.one(nobody, "I-765", 40, c.event("received", 31), c.event("biometrics_scheduled", 5)).
			with("biometrics", c.ahead(11, 14), supportCenter, supportStreet),
		c.one(nobody, "I-130", 21, c.event("received", 10)),
		c.one(nobody, "N-400", 150, c.event("received", 140), c.event("under_review", 90)),
	}
}

// lines writes cases as an import file.
func lines(cases []importCase) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, c := range cases {
		if err := enc.Encode(c); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}
