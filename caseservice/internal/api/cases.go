package api

import (
	"net/url"
	"strconv"
	"sync"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/web"
)

const (
	maxLimit     = 100
	defaultLimit = 25
)

// get answers GET /v1/cases/{id}.
func (c *call) get() (reply, error) {
	f, err := c.file()
	if err != nil {
		return reply{}, err
	}
	room := rooms.Get().(*[]byte)
	*room, err = c.api.words.appendCase((*room)[:0], &f, c.now)
	if err != nil {
		return reply{}, err
	}
	rep := c.ok(*room)
	rep.lent = room
	return rep, nil
}

// rooms are those that cases are rendered in. One that was written is used again: it is the largest of what a read takes.
var rooms = sync.Pool{New: func() any { room := make([]byte, 0, caseSize); return &room }}

// list answers GET /v1/cases.
func (c *call) list() (reply, error) {
	p, err := c.page("cursor")
	if err != nil {
		return reply{}, err
	}
	var after cases.Position
	if p.given {
		if after, err = c.api.seals.openPosition(c.caller.Sub, p.after); err != nil {
			return reply{}, badCursor("cursor")
		}
	}
	files, err := c.api.cases.List(c.r.Context(), c.caller.Sub, after, p.limit+1)
	if err != nil {
		return reply{}, storeFault(err)
	}
	next := ""
	if len(files) > p.limit {
		files = files[:p.limit]
		last := files[p.limit-1]
		next = c.api.seals.sealPosition(c.caller.Sub, cases.Position{UpdatedAt: last.UpdatedAt, ID: last.ID})
	}
	b := append(make([]byte, 0, 64+caseSize*len(files)), `{"items":[`...)
	for i := range files {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = c.api.words.appendCase(b, &files[i], c.now); err != nil {
			return reply{}, err
		}
	}
	return c.ok(append(appendNext(b, next), '}')), nil
}

// events answers GET /v1/cases/{id}/events.
func (c *call) events() (reply, error) {
	p, err := c.page("after")
	if err != nil {
		return reply{}, err
	}
	f, err := c.file()
	if err != nil {
		return reply{}, err
	}
	var after int64
	if p.given {
		if after, err = c.api.seals.openSeq(c.caller.Sub, f.ID, p.after); err != nil {
			return reply{}, badCursor("after")
		}
	}
	events, err := c.api.cases.Events(c.r.Context(), f.ID, after, p.limit+1)
	if err != nil {
		return reply{}, storeFault(err)
	}
	more := len(events) > p.limit
	if more {
		events = events[:p.limit]
	}
	b := append(make([]byte, 0, 128+eventSize*len(events)), `{"items":[`...)
	for i := range events {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = c.api.words.appendEvent(b, f.Form, &events[i]); err != nil {
			return reply{}, err
		}
		after = events[i].Seq
	}
	next := ""
	if after > 0 {
		next = c.api.seals.sealSeq(c.caller.Sub, f.ID, after)
	}
	b = append(appendNext(b, next), `,"more":`...)
	return c.ok(append(strconv.AppendBool(b, more), '}')), nil
}

// page is which part of a list was asked for.
type page struct {
	limit int
	after string // a cursor
	given bool   // whether there is one
}

// page reads limit and a cursor from the query. Errors: errInvalid that points at what is wrong.
func (c *call) page(cursor string) (page, error) {
	p := page{limit: defaultLimit}
	if c.r.URL.RawQuery == "" {
		return p, nil
	}
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return p, invalid("?", "query_format", "the query is not form-encoded")
	}
	if values, ok := q["limit"]; ok {
		n, err := strconv.Atoi(values[0])
		if err != nil || len(values) != 1 || n < 1 || n > maxLimit || strconv.Itoa(n) != values[0] {
			return p, invalid("?limit", "limit_range", "limit is one whole number from 1 to 100")
		}
		p.limit = n
	}
	values, ok := q[cursor]
	if !ok {
		return p, nil
	}
	p.after, p.given = values[0], true
	if len(values) != 1 {
		return p, badCursor(cursor)
	}
	return p, nil
}

func badCursor(name string) error {
	return &web.Fields{Fault: errCursor, All: []web.FieldProblem{{Pointer: "?" + name, Code: errCursor.Code, Detail: errCursor.Message}}}
}
