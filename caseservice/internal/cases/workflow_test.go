package cases_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
)

func TestWorkflows_EveryFormHasEveryWordInBothLanguages(t *testing.T) {
	t.Parallel()
	c := cases.Workflows()
	if got := c.FormCodes(); !slices.Equal(got, []string{"I-130", "I-485", "I-765", "N-400"}) {
		t.Fatal(got)
	}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch x := v.Interface().(type) {
		case cases.Text:
			if strings.TrimSpace(x.En) == "" || strings.TrimSpace(x.Es) == "" || x.En == x.Es {
				t.Errorf("%s: %+v", path, x)
			}
			return
		case *cases.Until:
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			walk(path, v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(path+"."+k.String(), v.MapIndex(k))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(path, v.Index(i))
			}
		default:
		}
	}
	walk("catalog", reflect.ValueOf(c))
}

func TestWorkflows_EveryStatusIsReachedAndEveryEndIsAnEnd(t *testing.T) {
	t.Parallel()
	ends := []string{"rejected", "card_delivered", "oath_done", "withdrawn", "approved"}
	for code, f := range cases.Workflows().Forms {
		reached := map[string]bool{"submitted": true}
		for range f.Transitions {
			for _, tr := range f.Transitions {
				if reached[tr.From] {
					reached[tr.To] = true
				}
			}
		}
		for s, st := range f.Statuses {
			if !reached[s] {
				t.Errorf("%s: nothing leads to %s", code, s)
			}
			if len(f.After(s)) == 0 && !slices.Contains(ends, s) {
				t.Errorf("%s: nothing follows %s", code, s)
			}
			if st.Actor == "nobody" && (st.Until.Kind == cases.Deadline || st.Until.Kind == cases.Usual) {
				t.Errorf("%s: %s has a date for nobody", code, s)
			}
		}
	}
}

func walkTo(t *testing.T, form string, statuses ...string) cases.Case {
	t.Helper()
	f := cases.Workflows().Forms[form]
	c := f.Begin("cas_x", "IOE0000000001", "2026-01-02", now.AddDate(0, -10, 0))
	for i, s := range statuses {
		var err error
		if c, err = f.Step(c, s, now.AddDate(0, -9, i)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestStep_DeadlineOfARequestForEvidenceIs84DaysAnd3ForTheMail(t *testing.T) {
	t.Parallel()
	c := walkTo(t, "I-130", "received", "under_review", "rfe_sent")
	if want := cases.DateOf(c.StatusSince.AddDate(0, 0, 87)); c.Until != want || c.UntilKind != cases.Deadline {
		t.Errorf("%s %s, want %s", c.UntilKind, c.Until, want)
	}
}

func TestStep_ShownStageNeverGoesBackButForAReopenedCase(t *testing.T) {
	t.Parallel()
	path := []string{"received", "biometrics_scheduled", "biometrics_taken", "under_review", "interview_scheduled", "interview_completed", "under_review"}
	if c := walkTo(t, "N-400", path...); c.Stage != "interview" || c.Status != "under_review" {
		t.Errorf("stage %s at %s", c.Stage, c.Status)
	}
	if c := walkTo(t, "N-400", append(path, "denied", "reopened")...); c.Stage != "review" {
		t.Errorf("reopened case stands in %s", c.Stage)
	}
}

func TestStep_RefusesWhatTheTableDoesNotHave(t *testing.T) {
	t.Parallel()
	f := cases.Workflows().Forms["I-765"]
	c := walkTo(t, "I-765", "received")
	for _, to := range []string{"approved", "submitted", "oath_done", "interview_scheduled", "", "transferred"} {
		if got, err := f.Step(c, to, now); err == nil || got != c {
			t.Errorf("went from received to %q", to)
		}
	}
	if _, err := f.Step(c, "under_review", c.UpdatedAt.Add(-time.Second)); err == nil {
		t.Error("went back in time")
	}
}

func TestParseImportLine(t *testing.T) {
	t.Parallel()
	good := `{"form":"I-765","submitted":"2026-09-01","claimable":true,"events":[{"code":"received","at":"2026-09-05T10:00:00Z"},` +
		`{"code":"transferred","at":"2026-09-06T10:00:00Z"},{"code":"biometrics_scheduled","at":"2026-09-07T10:00:00Z","until":"2026-12-02"}],` +
		`"appointments":[{"kind":"biometrics","at":"2026-12-02T09:30:00-05:00","place":"Support Center","address":"1 Main St"}]}`
	c, claimable, err := cases.ParseImportLine([]byte(good), now)
	if err != nil || !claimable {
		t.Fatal(err)
	}
	if c.Case.Status != "biometrics_scheduled" || c.Case.Until != "2026-12-02" || len(c.Events) != 4 || c.Events[3].Seq != 4 ||
		len(c.Appointments) != 1 || c.Appointments[0].State != cases.Scheduled || !strings.HasPrefix(string(c.Case.Receipt), "IOE") {
		t.Errorf("%+v", c)
	}
	for name, bad := range map[string]string{
		"unknown member":     strings.Replace(good, `"claimable"`, `"claimible"`, 1),
		"two objects":        good + good,
		"unknown form":       strings.Replace(good, "I-765", "I-999", 1),
		"bad receipt":        strings.Replace(good, `"submitted"`, `"receipt":"X","submitted"`, 1),
		"no day":             strings.Replace(good, "2026-09-01", "yesterday", 1),
		"day ahead":          strings.Replace(good, "2026-09-01", "2027-09-01", 1),
		"event ahead":        strings.Replace(good, "2026-09-07T", "2027-09-07T", 1),
		"event out of order": strings.Replace(good, "2026-09-06T", "2026-09-01T", 1),
		"impossible step":    strings.Replace(good, "biometrics_scheduled", "approved", 1),
		"unknown kind":       strings.Replace(good, `"kind":"biometrics"`, `"kind":"party"`, 1),
		"unknown state":      strings.Replace(good, `"kind":"biometrics"`, `"kind":"biometrics","state":"x"`, 1),
		"no place":           strings.Replace(good, "Support Center", "", 1),
		"two lines":          strings.Replace(good, "Support Center", `Support\nCenter`, 1),
		"NUL":                strings.Replace(good, "1 Main St", `1 Main\u0000St`, 1),
		"not UTF-8":          strings.Replace(good, "1 Main St", "1 M\xe9in St", 1),
		"bad until":          strings.Replace(good, `"2026-12-02"`, `"soon"`, 1),
	} {
		if _, _, err := cases.ParseImportLine([]byte(bad), now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseImportLine(f *testing.F) {
	f.Add([]byte(`{"form":"I-130","submitted":"2026-09-01","events":[{"code":"received","at":"2026-09-05T10:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, _, err := cases.ParseImportLine(line, now)
		if err != nil {
			return
		}
		form := cases.Workflows().Forms[c.Case.Form]
		if form == nil || form.Statuses[c.Case.Status] == nil || !slices.Contains(form.Stages, c.Case.Stage) {
			t.Fatalf("unshowable case %+v", c.Case)
		}
	})
}
