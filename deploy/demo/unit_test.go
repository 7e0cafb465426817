package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRun_RefusesCallsThatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--nonsense"}, {"extra"}, {"--ephemeral", "--data-dir", "x"}} {
		var out, said bytes.Buffer
		if status := run(t.Context(), args, &out, &said); status != 2 || said.Len() == 0 || out.Len() > 0 {
			t.Errorf("%v: status %d, %q, %q", args, status, out.String(), said.String())
		}
	}
}

func TestOpenData_RefusesAFolderOfSomebodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openData(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "other things") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestOpenData_BeginsAnewAfterAnInterruptedStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openData(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "idp.db")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	reopen := func() {
		t.Helper()
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
		if d, err = openData(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	if _, err := os.Stat(half); err == nil {
		t.Error("a half-made database is kept")
	}
	d.state.Seeded = time.Now()
	if err := d.save(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	reopen()
	if _, err := os.Stat(half); err != nil {
		t.Error("a finished database is removed")
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
}

// The case service checks the workflow; what depends on the day is checked here, for every day of four years.
func TestCases_FitEveryDayOfTheCalendar(t *testing.T) {
	t.Parallel()
	for day := range 4 * 366 {
		now := time.Date(2026, 1, 1, 3, 30, 0, 0, time.UTC).AddDate(0, 0, day)
		for _, c := range (calendar{now}).cases() {
			last, err := time.Parse(time.DateOnly, c.Submitted)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Events {
				if e.At.Before(last) || e.At.After(now) {
					t.Errorf("%s on %s: %s at %s lies before %s or ahead", now, c.Form, e.Code, e.At, last)
				}
				last = e.At
			}
			for _, a := range c.Appointments {
				if d := a.At.Weekday(); a.State == "" && (a.At.Before(now.Add(24*time.Hour)) || d == time.Saturday || d == time.Sunday) {
					t.Errorf("%s: the %s is on %s", now, a.Kind, a.At)
				}
			}
		}
	}
}

func TestLines_AreOneObjectEachWithoutTheOwner(t *testing.T) {
	t.Parallel()
	text, err := lines(calendar{time.Now()}.cases())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || m["owner"] != nil || m["form"] == nil {
			t.Errorf("%s (%v)", line, err)
		}
	}
}

func TestQuote_MakesOneWord(t *testing.T) {
	t.Parallel()
	if got := quote(`a 'b' $c`); got != `'a '\''b'\'' $c'` {
		t.Error(got)
	}
}
