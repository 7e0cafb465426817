package trace

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ellis.example/idp/internal/audit"
)

// limit bounds what one trace reads of one identifier.
const limit = 10_000

// Source finds events.
type Source interface {
	// EventsBy returns the events that carry an identifier, oldest first, at most limit.
	EventsBy(ctx context.Context, ref string, limit int) ([]audit.Stored, error)
}

// Trace is everything that belongs to an identifier, in the order in which it happened.
type Trace struct {
	ID     string         `json:"id"`
	Events []audit.Stored `json:"events"`
}

// Of traces an identifier: a jti, a txn or a sid as an audience knows it, our own ids, a subject, a client. From a part
// of one authorization it leads to the whole of it and to the sign-ins of its session; from a person, a client or a
// session, by our name or by that of an audience, it lists what carries that.
func Of(ctx context.Context, src Source, id string) (Trace, error) {
	t := tracer{src: src, seen: map[string]bool{}, events: map[string]audit.Stored{}}
	first, err := t.read(ctx, id)
	if err != nil {
		return Trace{}, err
	}
	if err := t.behind(ctx, id, first); err != nil {
		return Trace{}, err
	}
	queue := lineage(id, first)
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		found, err := t.read(ctx, next)
		if err != nil {
			return Trace{}, err
		}
		for _, e := range found {
			queue = append(queue, parts(e)...)
		}
		if len(queue) > 0 && len(t.seen) > limit {
			return Trace{}, fmt.Errorf("the lineage of %s has more than %d identifiers", id, limit)
		}
	}
	if len(lineage(id, first)) > 0 {
		if err := t.signIns(ctx); err != nil {
			return Trace{}, err
		}
	}
	return Trace{ID: id, Events: t.sorted()}, nil
}

type tracer struct {
	src    Source
	seen   map[string]bool
	events map[string]audit.Stored
}

// read returns the events of an identifier, the first time it is asked for it.
func (t *tracer) read(ctx context.Context, ref string) ([]audit.Stored, error) {
	if ref == "" || t.seen[ref] {
		return nil, nil
	}
	t.seen[ref] = true
	list, err := t.src.EventsBy(ctx, ref, limit)
	for _, e := range list {
		t.events[fmt.Sprint(e.Writer, "/", e.Seq)] = e
	}
	return list, err
}

// behind reads what carries our own name of a person or a session that an audience knows as id.
func (t *tracer) behind(ctx context.Context, id string, found []audit.Stored) error {
	for _, e := range found {
		if e.Seen == nil {
			continue
		}
		for theirs, ours := range map[string]string{e.Seen.Subject: e.Account, e.Seen.Session: e.Session} {
			if theirs != id {
				continue
			}
			if _, err := t.read(ctx, ours); err != nil {
				return err
			}
		}
	}
	return nil
}

// lineage decides whether id is a part of one authorization: then the trace follows it. A person, a client or a session
// has many authorizations, and is only listed.
func lineage(id string, found []audit.Stored) []string {
	var out []string
	for _, e := range found {
		if id == e.Account || id == e.Client || id == e.Session || (e.Seen != nil && (id == e.Seen.Subject || id == e.Seen.Session)) {
			return nil
		}
		out = append(out, parts(e)...)
	}
	return out
}

// parts are the identifiers that belong to one authorization alone.
func parts(e audit.Stored) []string {
	out := []string{e.Flow, e.Txn, e.Grant, e.Family, e.JTI}
	if e.Seen != nil {
		out = append(out, e.Seen.Txn)
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// signIns adds how the sessions of the trace began and ended.
func (t *tracer) signIns(ctx context.Context) error {
	sessions := map[string]bool{}
	for _, e := range t.events {
		if e.Session != "" {
			sessions[e.Session] = true
		}
	}
	for s := range sessions {
		list, err := t.src.EventsBy(ctx, s, limit)
		if err != nil {
			return err
		}
		for _, e := range list {
			if strings.HasPrefix(e.Type, "signin.") || strings.HasPrefix(e.Type, "session.") || e.Type == "account.created" || e.Type == "factor.enrolled" {
				t.events[fmt.Sprint(e.Writer, "/", e.Seq)] = e
			}
		}
	}
	return nil
}

func (t *tracer) sorted() []audit.Stored {
	out := make([]audit.Stored, 0, len(t.events))
	for _, e := range t.events {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b audit.Stored) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if c := strings.Compare(a.Writer, b.Writer); c != 0 {
			return c
		}
		return int(a.Seq - b.Seq)
	})
	return out
}

// Write prints events, one a line.
func Write(w io.Writer, events []audit.Stored) error {
	for _, e := range events {
		if _, err := fmt.Fprintln(w, Line(e)); err != nil {
			return err
		}
	}
	return nil
}

// Line is an event as people read it: when, what, how it went, and the identifiers in a fixed order.
func Line(e audit.Stored) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-22s %-8s", e.At.Format("2006-01-02T15:04:05.000Z"), e.Type, e.Outcome)
	add := func(name, v string) {
		if v != "" {
			fmt.Fprintf(&b, " %s=%s", name, inert(v))
		}
	}
	add("reason", e.Reason)
	add("actor", e.Actor)
	if e.Account != e.Actor {
		add("account", e.Account)
	}
	add("client", e.Client)
	add("session", e.Session)
	add("flow", e.Flow)
	add("grant", e.Grant)
	add("family", e.Family)
	add("txn", e.Txn)
	add("jti", e.JTI)
	if s := e.Seen; s != nil {
		add("seen.aud", s.Audience)
		add("seen.sub", s.Subject)
		add("seen.sid", s.Session)
		add("seen.txn", s.Txn)
	}
	for _, k := range sortedKeys(e.Detail) {
		if v := e.Detail[k]; v != "" {
			fmt.Fprintf(&b, " %s=%q", k, v)
		}
	}
	add("ip", e.IP)
	return b.String()
}

// inert quotes a value that is more than one plain word: a reason may be what an operator typed.
func inert(v string) string {
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return strconv.Quote(v)
	}
	return v
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
