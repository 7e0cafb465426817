package witness

import (
	"bytes"
	"iter"
	"os"
	"time"
)

// lookedThrough is how much of the end of a file is looked through for checkpoints that are dated later than the last one:
// those of a day or more.
const lookedThrough = 8 << 20

// ahead adds to the last checkpoint of a file what those before it know that are dated later. Who appends an old one again, which
// needs no key, takes nothing back by that: be it a restore or another. A clock that was set back has the same look, and there
// nothing is missing. A restore counts where it is later than all before it, as Files.Sign sees to. Verify looks at the whole
// file.
func (k *Key) ahead(f *os.File, end int64, c Checkpoint) (Checkpoint, error) {
	from := max(0, end-lookedThrough)
	text := make([]byte, end-from)
	if _, err := f.ReadAt(text, from); err != nil {
		return c, err
	}
	if from > 0 {
		_, text, _ = bytes.Cut(text, mark) // that of the first one is not all there
	}
	if !laterThan(c.At, text) {
		return c, nil
	}
	at, latest := standing{}, time.Time{}
	for one := range eachIn(text) {
		s, err := k.open(one)
		if err != nil {
			return c, err
		}
		if s.Epoch > 0 && s.At.After(latest) {
			at = standing{}
		}
		if s.At.After(latest) {
			latest = s.At
		}
		at = at.with(stand(s.Heads))
	}
	c.Heads, c.Epoch = stand(c.Heads).with(at).heads(), 0
	return c, nil
}

// laterThan reports whether any checkpoint of a text is dated after a time.
func laterThan(t time.Time, text []byte) bool {
	for one := range eachIn(text) {
		line := bytes.SplitN(one, []byte("\n"), 4)
		if len(line) < 4 {
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, string(line[2])); err == nil && at.After(t) {
			return true
		}
	}
	return false
}

// eachIn yields the whole checkpoints of a text, the first one first.
func eachIn(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			i := bytes.Index(text, mark)
			if i < 0 || !yield(text[:i+1]) {
				return
			}
			text = text[i+len(mark):]
		}
	}
}
