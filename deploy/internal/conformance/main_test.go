package main

import (
	"strings"
	"testing"
)

func TestMatch_WantsATestOrAReasonForEachEntry(t *testing.T) {
	t.Parallel()
	entries, err := parse("A01\tone\nA02\ttwo\tnot built\nA03\tthree\nA04\tfour\tstale\n")
	if err != nil {
		t.Fatal(err)
	}
	problems := match(entries, map[string][]string{"A01": {"x"}, "A04": {"y"}, "Z99": {"z"}})
	var all []string
	for _, p := range problems {
		all = append(all, p.Error())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"A03 (three) has neither", "A04 has tests", "Z99 is not"} {
		if !strings.Contains(text, want) {
			t.Errorf("no word of %q in:\n%s", want, text)
		}
	}
	if len(problems) != 3 {
		t.Errorf("%d problems, want 3", len(problems))
	}
	page := string(render(entries))
	if !strings.Contains(page, "| A02 | two | _not built_ |") || !strings.Contains(page, "| A01 | one | x |") {
		t.Error(page)
	}
}

func TestParse_RefusesLinesItCannotRead(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"A01", "Q01\tx", "A01\ta\tb\tc"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("read %q", bad)
		}
	}
}
