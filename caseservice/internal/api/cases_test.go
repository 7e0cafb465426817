package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/strictjson"
)

const read = cases.ScopeRead

// caseBody is a part of the schema Case.
type caseBody struct {
	ID           string
	Receipt      string
	Form, Status struct{ Code string }
	Stage        struct{ Code string }
	Stages       []struct{ Code, State string }
	Next         struct {
		Actor string
		What  cases.Text
	}
	Until       *string
	UntilKind   *string `json:"until_kind"`
	SubmittedOn string  `json:"submitted_on"`
	UpdatedAt   string  `json:"updated_at"`
	Appointment *struct {
		StartsAt string `json:"starts_at"`
		Place    struct{ Name, Address string }
	} `json:"next_appointment"`
	Appointments []struct {
		State string
		Place struct{ Name, Address string }
	}
	Relationship string
}

type casePage struct {
	Items []caseBody
	Next  *string
}

func TestGet_ShowsTheCaseWithWhatComesNext(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	a := s.get("/v1/cases/"+c.Case.ID, s.person("p1", read))
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var got caseBody
	a.into(t, &got)
	states := fmt.Sprint(got.Stages)
	if got.ID != c.Case.ID || got.Receipt != "IOE0000000001" || got.Form.Code != "I-765" || got.Status.Code != "biometrics_scheduled" ||
		got.Stage.Code != "biometrics" || got.Next.Actor != "you" || got.Next.What.En == "" || got.Until != nil || got.UntilKind != nil ||
		got.SubmittedOn != "2026-08-03" || got.UpdatedAt != "2026-11-24T11:00:00Z" || got.Relationship != "owner" ||
		states != "[{submitted complete} {received complete} {biometrics current} {review upcoming} {decision upcoming} {done upcoming}]" {
		t.Errorf("%+v", got)
	}
	if got.Appointment == nil || got.Appointment.StartsAt != "2026-12-15T09:30:00-05:00" || len(got.Appointments) != 2 || got.Appointments[0].State != "missed" {
		t.Fatalf("appointments %+v", got.Appointments)
	}
	if p := got.Appointments[0].Place; p.Name != `Old "Center"` || p.Address != "<b>2</b> Main & St\u2028" {
		t.Errorf("%q", p)
	}
	if strings.ContainsAny(string(a.body), "<>&\u2028") {
		t.Error("markup in the answer")
	}
}

func TestGet_AppointmentIsNextUntilItIsPast(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	at := time.Date(2026, 12, 15, 14, 30, 0, 0, time.UTC)
	for now, want := range map[time.Time]bool{at: true, at.Add(time.Microsecond): false} {
		s.issuer.Clock.Advance(now.Sub(s.issuer.Clock.Now()))
		var got caseBody
		s.get("/v1/cases/"+c.Case.ID, s.person("p1", read)).into(t, &got)
		if (got.Appointment != nil) != want {
			t.Errorf("at %v: %v", now, got.Appointment)
		}
	}
}

func TestGet_EveryStatusOfEveryFormFitsTheDescription(t *testing.T) {
	t.Parallel()
	s := newService(t)
	token := s.person("p1", read)
	n := 0
	for _, code := range cases.Workflows().FormCodes() {
		form := cases.Workflows().Forms[code]
		for status := range form.Statuses {
			n++
			c := s.seed(n, "p1")
			if _, err := s.db.Exec("UPDATE cases SET form = ?, status = ?, stage = ?, until_on = '2027-01-01', until_kind = 'usual' WHERE id = ?", code, status, form.Statuses[status].Stage, c.Case.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := s.db.Exec("UPDATE events SET code = ? WHERE case_id = ? AND seq BETWEEN 2 AND 3", status, c.Case.ID); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"", "/events"} {
				if a := s.get("/v1/cases/"+c.Case.ID+path, token); a.status != http.StatusOK {
					t.Errorf("%s %s: %d", code, status, a.status)
				}
			}
		}
	}
}

func TestGet_WordsOfANewerReleaseAreOurMistakeNotAHalfAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for column, value := range map[string]string{"form": "X-1", "status": "beamed_up", "stage": "orbit"} {
		c := s.seed(len(column), "p1")
		if _, err := s.db.Exec("UPDATE cases SET "+column+" = ? WHERE id = ?", value, c.Case.ID); err != nil {
			t.Fatal(err)
		}
		a := s.get("/v1/cases/"+c.Case.ID, s.person("p1", read))
		var p struct {
			Support string `json:"support_code"`
		}
		a.into(t, &p)
		if a.status != http.StatusInternalServerError || p.Support == "" || !strings.Contains(s.log.String(), p.Support) || strings.Contains(string(a.body), value) {
			t.Errorf("%s: %d %s", column, a.status, a.body)
		}
	}
}

func TestETag_SavesTheBodyNeverTheCheck(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	s.seed(2, "p2")
	owner, other := s.person("p1", read), s.person("p2", read)
	for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/v1/cases/" + c.Case.ID + "/events"} {
		tag := s.get(path, owner).header.Get("ETag")
		for _, given := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			a := s.get(path, owner, header{"If-None-Match", given})
			if a.status != http.StatusNotModified || len(a.body) != 0 || a.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d", path, given, a.status)
			}
		}
		for _, given := range []string{`"x"`, strings.Trim(tag, `"`), strings.ToLower(tag)} {
			if a := s.get(path, owner, header{"If-None-Match", given}); a.status != http.StatusOK {
				t.Errorf("%s with %s: %d", path, given, a.status)
			}
		}
		if a := s.get(path, other, header{"If-None-Match", tag}); a.status == http.StatusNotModified {
			t.Errorf("%s: another person's tag opens it", path)
		}
		if a := s.get(path, s.person("p1", cases.ScopeClaim), header{"If-None-Match", "*"}); a.code() != "insufficient_scope" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestETag_MovesWithTheCase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	tag := s.get("/v1/cases/"+c.Case.ID, token).header.Get("ETag")
	if _, err := s.db.Exec("UPDATE cases SET updated_at = updated_at + 1 WHERE id = ?", c.Case.ID); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/v1/cases/"+c.Case.ID, token, header{"If-None-Match", tag}); a.status != http.StatusOK || a.header.Get("ETag") == tag {
		t.Errorf("%d %s", a.status, a.header.Get("ETag"))
	}
}

func TestList_PagesThroughWhatIsYours(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var want []string
	for n := range 7 {
		want = append(want, s.seed(n+1, "p1").Case.ID) // the most recently changed first
		s.seed(100+n, "p2")
		s.seed(200+n, "")
	}
	token := s.person("p1", read)
	for limit := range 8 {
		var got []string
		path := fmt.Sprint("/v1/cases?limit=", limit+1)
		for next := path; next != ""; {
			var p casePage
			s.get(next, token).into(t, &p)
			for _, c := range p.Items {
				got = append(got, c.ID)
			}
			if next = ""; p.Next != nil {
				next = path + "&cursor=" + *p.Next
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit+1, got)
		}
	}
	if a := s.get("/v1/cases", s.person("nobody", read)); string(a.body) != `{"items":[],"next":null}` {
		t.Errorf("%s", a.body)
	}
}

func TestPage_RefusesWhatIsNoLimit(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID + "/events"} {
		for _, q := range []string{"limit=0", "limit=101", "limit=-1", "limit=", "limit=1.5", "limit=1e1", "limit=+5", "limit=%2B5", "limit=05", "limit=5&limit=5", "limit=x", "limit=%zz", "a;b", "limit=99999999999999999999"} {
			if a := s.get(path+"?"+q, token); a.code() != "invalid_request" || !strings.Contains(string(a.body), `"pointer":"?`) {
				t.Errorf("%s?%s: %d %s", path, q, a.status, a.body)
			}
		}
		if a := s.get(path+"?limit=100&utm_source=x", token); a.status != http.StatusOK {
			t.Errorf("%d", a.status)
		}
	}
}

type eventPage struct {
	Items []struct{ ID, Code, Class, At string }
	Next  *string
	More  bool
}

func TestEvents_FollowWhatIsNew(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1") // submitted, received, biometrics_scheduled, assigned
	token := s.person("p1", read)
	path := "/v1/cases/" + c.Case.ID + "/events?limit=3"
	page := func(after *string) (p eventPage) {
		q := path
		if after != nil {
			q += "&after=" + *after
		}
		s.get(q, token).into(t, &p)
		return p
	}
	first := page(nil)
	second := page(first.Next)
	empty := page(second.Next)
	if len(first.Items) != 3 || !first.More || first.Items[0].Code != "submitted" || len(second.Items) != 1 || second.More ||
		second.Items[0].Code != cases.NoticeAssigned || second.Items[0].Class != "housekeeping" || len(empty.Items) != 0 || empty.Next == nil || empty.More {
		t.Fatalf("%+v\n%+v\n%+v", first, second, empty)
	}
	if _, err := s.db.Exec("INSERT INTO events (case_id, seq, id, code, at) VALUES (?, 5, 'evt_00000000000000000000000000', 'transferred', ?)", c.Case.ID, start.UnixMicro()); err != nil {
		t.Fatal(err)
	}
	if p := page(empty.Next); len(p.Items) != 1 || p.Items[0].Code != "transferred" {
		t.Errorf("%+v", p)
	}
}

func TestEvents_NoEventsNoCursor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	if _, err := s.db.Exec("DELETE FROM events WHERE case_id = ?", c.Case.ID); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/v1/cases/"+c.Case.ID+"/events", s.person("p1", read)); string(a.body) != `{"items":[],"next":null,"more":false}` {
		t.Errorf("%s", a.body)
	}
}

func TestStats_CountsByFormAndStage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for n := range 3 {
		s.seed(n+1, "")
	}
	token := s.issuer.Sign(s.issuer.Machine("batch", cases.ScopeStats))
	type stats struct {
		AsOf  string `json:"as_of"`
		Total int
		Forms []struct {
			Form   string
			Total  int
			Stages []struct {
				Stage string
				Count int
			}
		}
	}
	var got stats
	a := s.get("/v1/stats", token)
	a.into(t, &got)
	if got.Total != 3 || len(got.Forms) != len(cases.Workflows().Forms) || got.AsOf != "2026-11-24T12:00:00Z" {
		t.Fatalf("%s", a.body)
	}
	for _, f := range got.Forms {
		sum := 0
		for _, st := range f.Stages {
			sum += st.Count
			if (st.Count != 0) != (f.Form == "I-765" && st.Stage == "biometrics") {
				t.Errorf("%s: %+v", f.Form, st)
			}
		}
		if sum != f.Total {
			t.Errorf("%+v", f)
		}
	}
	s.seed(9, "")
	if a := s.get("/v1/stats", token, header{"If-None-Match", a.header.Get("ETag")}); a.status != http.StatusNotModified {
		t.Errorf("counted anew at once: %s", a.body)
	}
	s.issuer.Clock.Advance(10 * time.Second)
	s.get("/v1/stats", token).into(t, &got)
	if got.Total != 4 || got.AsOf != "2026-11-24T12:00:10Z" {
		t.Errorf("%+v", got)
	}
}

func TestHEAD_IsAGetWithoutItsBody(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/openapi.yaml"} {
		get, head := s.get(path, token), s.do(http.MethodHead, path, token, "")
		if head.status != http.StatusOK || len(head.body) != 0 || head.header.Get("ETag") != get.header.Get("ETag") || head.header.Get("Content-Length") != fmt.Sprint(len(get.body)) {
			t.Errorf("%s: %d %v", path, head.status, head.header)
		}
	}
}

func TestAnswers_HaveNoMemberTwice(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/v1/cases/" + c.Case.ID + "/events", "/.well-known/oauth-protected-resource"} {
		if _, err := strictjson.Object(s.get(path, token).body); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
