package portal

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/portal/caseapi"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/ui"
)

// langLifetime is how long a chosen language is remembered.
const langLifetime = 365 * 24 * time.Hour

// errTokenRefused: the API takes no access token of this issuer, not even a fresh one.
var errTokenRefused = fault.New(fault.Internal, "api_token_refused", "the case service does not take the access token")

// ask calls the API with the person's access token. One that is refused is renewed once: it may have been revoked, or
// the API's clock may be ahead.
func ask[T any](ctx context.Context, p *Portal, v signin.Visit, do func(ctx context.Context, token string) (T, error)) (T, error) {
	var none T
	refused := ""
	for range 2 {
		token, err := p.Gate.AccessToken(ctx, v, refused)
		if refused != "" && errors.Is(err, signin.ErrSessionEnded) {
			err = signin.ErrSessionEnded.Because(errTokenRefused.Because(err)) // both say so: it was revoked
		}
		if err != nil {
			return none, err
		}
		out, err := do(ctx, token)
		var problem *caseapi.Problem
		if !errors.As(err, &problem) || !problem.TokenRefused() {
			return out, err
		}
		refused = token
	}
	return none, errTokenRefused
}

// maxCursor bounds a cursor that comes back in a link, in bytes.
const maxCursor = 512

// home shows every case, the most pressing first.
func (p *Portal) home(w http.ResponseWriter, r *http.Request, v signin.Visit) error {
	cursor := r.URL.Query().Get("after")
	if len(cursor) > maxCursor {
		return errNoPage
	}
	page, err := ask(r.Context(), p, v, func(ctx context.Context, token string) (caseapi.CasePage, error) {
		return p.API.Cases(ctx, token, cursor)
	})
	if problem := (*caseapi.Problem)(nil); errors.As(err, &problem) && problem.Status == http.StatusBadRequest {
		return see(w, homePath) // a cursor of another session
	}
	if err != nil {
		return err
	}
	lang, now := string(p.lang(r)), p.Clock.Now()
	out := ui.Home{Base: p.ownBase(w, r, "", v)}
	for _, c := range page.Items {
		out.Cases = append(out.Cases, caseView(lang, now, c))
	}
	slices.SortStableFunc(out.Cases, morePressing)
	if len(out.Cases) > 0 {
		out.Next = out.Cases[0].Next // an appointment comes before everything else
	}
	if page.Next != nil {
		out.MoreURL = homePath + "?" + url.Values{"after": {*page.Next}}.Encode()
	}
	return p.show(w, r, http.StatusOK, out)
}

// morePressing orders cases: the next appointment first, then what waits for the person, the nearest day first, then as
// the API has them.
func morePressing(a, b ui.Case) int {
	switch {
	case a.Next != nil && b.Next != nil:
		return a.Next.StartsAt.Compare(b.Next.StartsAt)
	case a.Next != nil || b.Next != nil:
		return before(a.Next != nil)
	case (a.Actor == "you") != (b.Actor == "you"):
		return before(a.Actor == "you")
	case a.Actor == "you" && !a.Until.IsZero() && !b.Until.IsZero():
		return a.Until.Compare(b.Until)
	}
	return 0
}

func before(yes bool) int {
	if yes {
		return -1
	}
	return 1
}

// one shows one case with its history.
func (p *Portal) one(w http.ResponseWriter, r *http.Request, v signin.Visit) error {
	id := r.PathValue("id")
	type both struct {
		one    caseapi.Case
		events []caseapi.Event
	}
	got, err := ask(r.Context(), p, v, func(ctx context.Context, token string) (out both, err error) {
		if out.one, err = p.API.Case(ctx, token, id); err == nil {
			out.events, err = p.API.Events(ctx, token, id)
		}
		return out, err
	})
	if err != nil {
		return err
	}
	lang := string(p.lang(r))
	page := ui.CasePage{Base: p.ownBase(w, r, "", v), Case: caseView(lang, p.Clock.Now(), got.one)}
	for _, e := range slices.Backward(got.events) {
		page.Events = append(page.Events, ui.Event{Title: e.Title.In(lang), Description: e.Description.In(lang), Class: e.Class, At: e.At})
	}
	return p.show(w, r, http.StatusOK, page)
}

// caseView is a case in one language.
func caseView(lang string, now time.Time, c caseapi.Case) ui.Case {
	out := ui.Case{
		ID: c.ID, Receipt: c.Receipt, FormCode: c.Form.Code, FormTitle: c.Form.Title.In(lang),
		Status: c.Status.Title.In(lang), Description: c.Status.Description.In(lang), Since: c.StatusSince,
		Actor: c.Next.Actor, ActorTitle: c.Next.ActorTitle.In(lang), What: c.Next.What.In(lang),
		Deadline: c.UntilKind != nil && *c.UntilKind == "deadline", SubmittedOn: c.SubmittedOn.Time, UpdatedAt: c.UpdatedAt,
	}
	if c.Until != nil {
		out.Until = c.Until.Time
	}
	for _, s := range c.Stages {
		out.Stages = append(out.Stages, ui.Stage{Title: s.Title.In(lang), State: s.State})
	}
	view := func(a caseapi.Appointment) ui.Appointment {
		return ui.Appointment{
			CaseID: c.ID, Form: c.Form.Title.In(lang), Title: a.Title.In(lang), Bring: a.Bring.In(lang), State: a.State,
			StartsAt: a.StartsAt, Place: a.Place.Name, Address: a.Place.Address,
		}
	}
	for _, a := range c.Appointments {
		if a.State == "scheduled" && a.StartsAt.After(now) {
			out.Ahead = append(out.Ahead, view(a))
		} else {
			out.Past = append(out.Past, view(a))
		}
	}
	slices.SortStableFunc(out.Ahead, func(a, b ui.Appointment) int { return cmp.Compare(a.StartsAt.Unix(), b.StartsAt.Unix()) })
	if c.NextAppointment != nil {
		next := view(*c.NextAppointment)
		out.Next = &next
	}
	return out
}
