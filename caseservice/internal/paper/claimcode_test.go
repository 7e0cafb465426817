package paper_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"ellis.example/caseservice/internal/paper"
)

var grouped = regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$`)

func TestClaimCode_SurvivesHowPeopleTypeIt(t *testing.T) {
	t.Parallel()
	for range 500 {
		c := paper.NewClaimCode()
		text := c.Grouped()
		if !grouped.MatchString(text) {
			t.Fatal(text)
		}
		typed := []string{
			text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), strings.ReplaceAll(text, "-", " "),
			strings.NewReplacer("0", "O", "1", "l").Replace(text), strings.NewReplacer("0", "o", "1", "I").Replace(text),
		}
		for _, s := range typed {
			if got, err := paper.ParseClaimCode(s); err != nil || got != c {
				t.Fatalf("%q: %v", s, err)
			}
		}
	}
}

func TestClaimCode_SlipsAreFoundByTheChecksum(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(paper.NewClaimCode().Grouped(), "-", "")
	missed := 0
	for i := range text {
		for _, r := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if byte(r) == text[i] {
				continue
			}
			if _, err := paper.ParseClaimCode(text[:i] + string(r) + text[i+1:]); err == nil {
				missed++
			} else if !errors.Is(err, paper.ErrCodeChecksum) {
				t.Fatal(err)
			}
		}
	}
	if missed > 1 { // 744 slips, one in a million passes
		t.Errorf("%d slips passed", missed)
	}
}

func TestParseClaimCode_RefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	good := paper.NewClaimCode().Grouped()
	for _, s := range []string{"", good[:len(good)-1], good + "0", good[:len(good)-1] + "U", good + "\n", strings.Repeat(" ", 100) + good, "é" + good[2:]} {
		if _, err := paper.ParseClaimCode(s); !errors.Is(err, paper.ErrCodeFormat) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestClaimCode_DoesNotPrintItself(t *testing.T) {
	t.Parallel()
	c := paper.NewClaimCode()
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%v %s", c, c)} {
		if strings.Contains(s, string(c)[:8]) {
			t.Errorf("leaked in %q", s)
		}
	}
}

func TestCodeMAC_IsBoundToKeyReceiptAndCode(t *testing.T) {
	t.Parallel()
	k1, k2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	c := paper.NewClaimCode()
	base := paper.CodeMAC(k1, "IOE0000000001", c)
	for name, other := range map[string][]byte{
		"key":     paper.CodeMAC(k2, "IOE0000000001", c),
		"receipt": paper.CodeMAC(k1, "IOE0000000002", c),
		"code":    paper.CodeMAC(k1, "IOE0000000001", paper.NewClaimCode()),
		"purpose": paper.ReceiptMAC(k1, "IOE0000000001"),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("not bound to the %s", name)
		}
	}
	if !bytes.Equal(base, paper.CodeMAC(k1, "IOE0000000001", c)) {
		t.Error("not deterministic")
	}
}

func FuzzParseClaimCode(f *testing.F) {
	f.Add(paper.NewClaimCode().Grouped())
	f.Add("0000-0000-0000-0000-0000-0000")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := paper.ParseClaimCode(s)
		if err != nil {
			return
		}
		if again, err := paper.ParseClaimCode(c.Grouped()); err != nil || again != c || len(string(c)) != 24 {
			t.Fatalf("%q is not canonical", s)
		}
	})
}
