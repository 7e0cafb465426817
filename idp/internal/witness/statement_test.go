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

// What could not be read back later is not signed: nobody could say any more what was lost.
func TestSign_RefusesWhatItCannotReadBack(t *testing.T) {
	t.Parallel()
	k, err := NewKey("id.example", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	good := Checkpoint{Origin: "https://id.example", At: time.Date(2026, 11, 28, 9, 0, 0, 5, time.UTC), Heads: []chain.Head{{Writer: "wrt_a", Seq: 3}}}
	if _, err := k.Sign(good); err != nil {
		t.Fatal(err)
	}
	hash := strings.TrimSuffix(strings.TrimPrefix(headLine(chain.Head{Writer: "a", Seq: 1}), "a 1 "), "\n")
	for name, spoil := range map[string]func(c *Checkpoint){
		"no record":              func(c *Checkpoint) { c.Heads[0].Seq = 0 },
		"a space in a name":      func(c *Checkpoint) { c.Heads[0].Writer = "wrt a" },
		"a line end in a name":   func(c *Checkpoint) { c.Heads[0].Writer = "wrt\na" },
		"a name like two heads":  func(c *Checkpoint) { c.Heads[0].Writer = "x 1 " + hash + "\nwrt_a" },
		"a name like an epoch":   func(c *Checkpoint) { c.Heads[0].Writer = "restored 7\nwrt_a" },
		"an epoch that is none":  func(c *Checkpoint) { c.Epoch = -1 },
		"two lines as an origin": func(c *Checkpoint) { c.Origin += "\n" },
	} {
		c := good
		c.Heads = []chain.Head{good.Heads[0]}
		spoil(&c)
		if text, err := k.Sign(c); err == nil || text != nil {
			t.Errorf("%s: %v, %q", name, err, text)
		}
	}
}
