package paper_test

import (
	"regexp"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/paper"
)

func TestParseReceipt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]paper.Receipt{
		"IOE0912345678":     "IOE0912345678",
		"ioe-09-123-45678":  "IOE0912345678",
		" EAC 0912345678 ":  "EAC0912345678",
		"":                  "",
		"IOE091234567":      "",
		"IOE09123456789":    "",
		"I0E0912345678":     "",
		"IOE091234567A":     "",
		"IOE٠912345678":     "", // Arabic-Indic digit
		"ＩＯＥ0912345678":     "", // full-width letters
		"IOE\t0912345678":   "",
		"IOE0912345678\n":   "",
		"IOE0912345678\x00": "",
		strings.Repeat("-", 40) + "IOE0912345678": "",
		"' OR 1=1; --x": "",
	} {
		got, err := paper.ParseReceipt(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

func TestNewReceipt_IsRandomAndCanonical(t *testing.T) {
	t.Parallel()
	seen := map[paper.Receipt]bool{}
	for range 2000 {
		r, err := paper.NewReceipt("MSC")
		if err != nil || seen[r] {
			t.Fatal(r, err)
		}
		seen[r] = true
		if again, err := paper.ParseReceipt(string(r)); err != nil || again != r {
			t.Fatal(r, err)
		}
	}
	if _, err := paper.NewReceipt("M1"); err == nil {
		t.Error("accepted an office of two characters")
	}
}

var canonicalReceipt = regexp.MustCompile(`^[A-Z]{3}\d{10}$`)

func FuzzParseReceipt(f *testing.F) {
	for _, s := range []string{"IOE0912345678", "ioe-0912345678", "", "---", "IOE٠912345678"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := paper.ParseReceipt(s)
		if err != nil {
			return
		}
		if !canonicalReceipt.MatchString(string(r)) {
			t.Fatalf("%q became %q", s, r)
		}
		if again, err := paper.ParseReceipt(string(r)); err != nil || again != r {
			t.Fatalf("%q is not canonical", r)
		}
	})
}
