package witness_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/witness"
)

// copied is a record in a database that may be a copy.
type copied struct {
	book
	is bool
}

func (c copied) IsCopy(context.Context) (bool, error) { return c.is, nil }

// An acceptance that is not signed, and went on, is only signed where an export shows that nothing of that was lost.
func TestRestored_IsOnlySignedWhereNothingWasLostSince(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a")
	unsigned := h.points + "2"
	text, err := os.ReadFile(h.points)
	h.must(errors.Join(err, os.WriteFile(unsigned, text, 0o600)))
	h.accept("cmd_1", true, true)
	h.exported()
	f, err := witness.OpenFiles([]string{unsigned}, h.key)
	h.must(err)
	signs := func(what string, want bool, change func(*witness.Restored, *copied)) {
		t.Helper()
		d := h.database()
		d.Last = h.now
		l, err := f.ReadLater(h.lines, d, tell)
		r, log := witness.Restored{Database: d, Lost: l, Gap: f.Gap(d, l)}, copied{book: h.book}
		if change != nil {
			change(&r, &log)
		}
		got, bad := r.OnlySign(t.Context(), log, f)
		if h.must(errors.Join(err, bad)); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	unnamed := func(r *witness.Restored, _ *copied) {
		r.Lost, r.Gap = witness.Lost{Until: r.Last}, "no export is named"
	}
	signs("nothing came behind it", true, nil)
	h.writes("srv_b")
	saved, accepted := h.copied()
	signs("it went on, and the export with it", true, nil)
	signs("a copy", false, func(_ *witness.Restored, c *copied) { c.is = true })
	signs("no export", false, unnamed)
	signs("no export, and nothing came behind it", true, func(r *witness.Restored, c *copied) { unnamed(r, c); r.Latest = true })
	signs("the database was lost later", false, func(r *witness.Restored, _ *copied) { r.LostAt = h.now.Add(time.Hour) })
	signs("nobody accepted it", false, func(r *witness.Restored, _ *copied) { r.Accepted = nil })
	h.now = h.now.Add(2 * witness.Patience)
	h.record("srv_b", said{})
	signs("it went on, and the export did not", false, nil)
	h.exported()
	signs("it went on, and the export again", true, nil)
	h.restore(saved, accepted)
	signs("it was set back since", false, nil)
}

func TestRestored_ReadsWhenItWasInUseLast(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for text, why := range map[string]string{
		"": "", "2026-11-28T11:00:00Z": "", "2026-11-28T10:26:00Z": "", "2026-11-28T10:24:00Z": "still in use at 2026-11-28T10:30:00Z", "2026-11-28T12:00:01Z": "write a time", "yesterday": "write a time",
	} {
		r := witness.Restored{Database: witness.Database{Now: now}, Lost: witness.Lost{Until: now.Add(-90 * time.Minute)}}
		err := r.ReadLostAt(text)
		if (err == nil) != (why == "") || (err != nil && !strings.Contains(err.Error(), why)) {
			t.Errorf("%s: %v, want %q", text, err, why)
		}
	}
	r := witness.Restored{Database: witness.Database{Now: now}, Lost: witness.Lost{Until: now.Add(-90 * time.Minute)}}
	if why := r.Doubt(); !strings.Contains(why, "--lost-at") {
		t.Errorf("nobody said when: %q", why)
	}
	if r.LostAt = r.Until.Add(time.Minute); r.Doubt() != "" {
		t.Errorf("soon after: %q", r.Doubt())
	}
	if r.Gap = "something is missing"; r.Doubt() != r.Gap {
		t.Errorf("a gap: %q", r.Doubt())
	}
}
