package witness

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"os"
	"time"
)

const (
	// lookedThrough is how much of the end of a file is looked through for dates that do not rise: a day or more.
	lookedThrough = 8 << 20
	// sampled is how far apart the checkpoints before that are whose dates are looked at.
	sampled = 256 << 10
)

// ahead adds to the last checkpoint of a file what those before it know that are dated later. Who appends old ones again, which
// needs no key, takes nothing back by that: be it a restore or another, once or so often that they fill the end. Dates rise in a
// file that we alone wrote; where they do not, all of it is read. A clock that was set back has the same look, and there nothing
// is missing. A restore counts where it is later than all before it, as Files.Sign sees to. Verify looks at the whole file.
func (k *Key) ahead(f *os.File, end int64, c Checkpoint) (Checkpoint, error) {
	rises, err := rises(f, end)
	if err != nil || rises {
		return c, err
	}
	at, latest, later := standing{}, time.Time{}, false
	for one, err := range eachIn(f, 0, end) {
		if err != nil {
			return c, err
		}
		if !dated(one).After(c.At) {
			continue
		}
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
		at, later = at.with(stand(s.Heads)), true
	}
	if later {
		c.Heads, c.Epoch = stand(c.Heads).with(at).heads(), 0
	}
	return c, nil
}

// rises reports whether checkpoints are dated one after the other: all of those at the end of a file, and some before. What is
// appended again and is longer than that end begins among the others, or holds one twice.
func rises(f *os.File, end int64) (bool, error) {
	from, latest := max(0, end-lookedThrough), time.Time{}
	next := func(one []byte) bool {
		before := latest
		latest = dated(one)
		return latest.After(before)
	}
	for at := int64(0); at < from; at += sampled {
		for one, err := range eachIn(f, at, from) {
			if err != nil {
				return false, err
			}
			if !next(one) {
				return false, nil
			}
			break
		}
	}
	for one, err := range eachIn(f, from, end) {
		if err != nil {
			return false, err
		}
		if !next(one) {
			return false, nil
		}
	}
	return true, nil
}

// dated is the time of a checkpoint as it says; zero: it says none.
func dated(one []byte) time.Time {
	line := bytes.SplitN(one, []byte("\n"), 4)
	if len(line) < 4 {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(line[2]))
	if err != nil {
		return time.Time{}
	}
	return at
}

// eachIn yields the whole checkpoints between two places of a file, the first one first. Where one begins before the first place,
// it is left out.
func eachIn(f *os.File, from, end int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		sc := wholeIn(io.NewSectionReader(f, from, end-from))
		if from > 0 {
			sc.Scan() // that is not all there
		}
		for sc.Scan() {
			if !yield(sc.Bytes(), nil) {
				return
			}
		}
		if sc.Err() != nil {
			yield(nil, errors.Join(errCheckpoint, sc.Err()))
		}
	}
}

// wholeIn scans whole checkpoints, and what is left behind the last of them.
func wholeIn(r io.Reader) *bufio.Scanner {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 2*maxCheckpoint)
	sc.Split(func(data []byte, end bool) (int, []byte, error) {
		if i := bytes.Index(data, mark); i >= 0 {
			return i + len(mark), data[:i+1], nil
		}
		if end {
			return len(data), nil, nil
		}
		return 0, nil, nil
	})
	return sc
}
