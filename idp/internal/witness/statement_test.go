package witness

import (
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
)

// What can be read was written by us: nothing reads in two ways, and nothing that is no statement reads at all.
func FuzzParseStatement(f *testing.F) {
	s := statement{Checkpoint: Checkpoint{Origin: "https://id.example", At: time.Date(2026, 11, 28, 9, 0, 0, 5, time.UTC), Heads: []chain.Head{{Writer: "wrt_a", Seq: 3}, {Writer: "-b", Seq: 1 << 40}}}}
	f.Add(s.text())
	s.follows, s.writers, s.Epoch = true, 9, 2
	f.Add(s.text())
	for _, old := range []string{"3 ", "9 writers", "restored 2", "T09", "wrt_a", "\n"} {
		for _, now := range []string{"03 ", "+9 writers", "restored -2", "t09", "", "\r\n", " "} {
			f.Add(strings.Replace(s.text(), old, now, 1))
		}
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStatement(text)
		if err != nil {
			return
		}
		if s.text() != text {
			t.Errorf("%q is read as %q", text, s.text())
		}
		for _, h := range s.Heads {
			if h.Seq < 1 || strings.ContainsAny(h.Writer, " \n") {
				t.Errorf("head %+v of %q", h, text)
			}
		}
	})
}
