package witness

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ellis.example/idp/internal/chain"
)

const (
	separator     = "\n\n\n" // never inside a note
	maxCheckpoint = 1 << 20
)

// mark is how every whole checkpoint ends: a note ends with a line end of its own.
var mark = []byte("\n" + separator)

// patience is how long Append waits for another process that is at the file.
const patience = 30 * time.Second

// Append adds a checkpoint to a file outside the database, and to disk. What a writer that was cut off left behind the last
// whole checkpoint was never kept: it goes, so that nothing is glued to it. A whole one stays, whatever it says. It waits half
// a minute for another process that is at the file.
func Append(file string, text []byte) error {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	return appendTo(ctx, file, text)
}

func appendTo(ctx context.Context, file string, text []byte) (err error) {
	f, err := openLocked(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := whole(f)
	if err == nil {
		_, err = write(f, end, text)
	}
	return err
}

// openLocked opens a file that is this process's until it is closed.
func openLocked(ctx context.Context, file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// write puts checkpoints, with separators between them, behind the last whole one, and returns where they end.
func write(f *os.File, end int64, text []byte) (int64, error) {
	for one := range bytes.SplitSeq(text, mark) {
		if len(one)+len(mark) >= maxCheckpoint {
			return end, errCheckpoint
		}
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		return end, errCheckpoint
	}
	if err := unfinished(f, end, titleStem); err != nil {
		return end, err
	}
	if err := f.Truncate(end); err != nil {
		return end, err
	}
	n, err := f.WriteAt(append(bytes.Clone(text), separator...), end)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return end, errors.Join(err, f.Truncate(end))
	}
	if end == 0 {
		err = syncDir(filepath.Dir(f.Name()))
	}
	return end + int64(n), err
}

// whole returns where the last whole checkpoint of a file ends.
func whole(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	from := max(0, size-maxCheckpoint)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return 0, err
	}
	i := bytes.LastIndex(tail, mark)
	switch {
	case i >= 0:
		return from + int64(i+len(mark)), nil
	case from > 0:
		return 0, errCheckpoint // so long a rest is of no writer of ours
	}
	return 0, nil
}

// Last verifies the last whole checkpoint of a file, with the heads of all chains; ok is false when there is none. Where one before
// it is dated later, it has the heads that this one knows beyond it. It reads the end of the file and places before it, and all of it only where dates do not rise.
func Last(file string, k *Key) (c Checkpoint, ok bool, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	defer f.Close() //nolint:errcheck // only read
	end, err := whole(f)
	if err != nil || end == 0 {
		return c, false, err
	}
	if c, _, err = last(f, end, k); err == nil {
		c, err = k.ahead(f, end, c)
	}
	if err != nil {
		return Checkpoint{}, false, err
	}
	return c, true, nil
}

// last reads back from where a checkpoint ends until it knows where all chains stood. named is the writer of its last line.
func last(f *os.File, end int64, k *Key) (c Checkpoint, named string, err error) {
	of, at := statement{writers: -1}, standing{}
	err = backwards(f, end, func(text []byte) (more bool, err error) {
		s, err := k.open(text)
		if err != nil {
			return false, err
		}
		if of.writers < 0 { // the last one
			of = s
		}
		for _, h := range s.Heads {
			if _, later := at[h.Writer]; !later {
				at[h.Writer] = h
			}
		}
		return s.follows && len(at) < of.writers, nil
	})
	if err == nil {
		err = of.agrees(at)
	}
	if err != nil {
		return c, "", fmt.Errorf("the last checkpoint: %w", err)
	}
	if n := len(of.Heads); n > 0 {
		named = of.Heads[n-1].Writer
	}
	if of.follows {
		of.Heads = at.heads()
	}
	return of.Checkpoint, named, nil
}

var errGap = errors.New("it goes on from checkpoints that are not there, or are not what they were")

// agrees checks that chains stood where a statement says. Errors: errGap.
func (s statement) agrees(at standing) error {
	sum := at.sum()
	if s.follows && (len(at) != s.writers || subtle.ConstantTimeCompare(sum[:], s.sum[:]) == 0) {
		return errGap
	}
	return nil
}

const piece = 64 << 10

// backwards calls each for the whole checkpoints up to an end of one, the last first, while that asks for more.
func backwards(f *os.File, end int64, each func(text []byte) (more bool, err error)) error {
	var tail []byte // from there on, up to what each was called for
	for from := end; from > 0 || len(tail) > 0; {
		i := bytes.LastIndex(tail[:max(0, len(tail)-len(separator))], mark)
		if i < 0 && from > 0 {
			if len(tail) > 2*maxCheckpoint {
				return errCheckpoint
			}
			more := make([]byte, min(from, piece))
			from -= int64(len(more))
			if _, err := f.ReadAt(more, from); err != nil {
				return err
			}
			tail = slices.Concat(more, tail)
			continue
		}
		begin := 0
		if i >= 0 {
			begin = i + len(mark)
		}
		if more, err := each(tail[begin : len(tail)-len(separator)]); err != nil || !more {
			return err
		}
		tail = tail[:begin]
	}
	return nil
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadAll verifies every checkpoint of a file, oldest first, each with the heads that moved since the one before; that of a
// restore has all. A restore counts only where it is later than every one before it: one of an earlier time was appended again,
// which needs no key, and is a checkpoint like others. A file that is not there holds none. Errors: the number of the first that cannot be verified, or that has
// lost what it goes on from; an unfinished last one, of a writer that was cut off, is passed over.
func ReadAll(file string, k *Key) ([]Checkpoint, error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readAll(f, k)
}

func readAll(r io.Reader, k *Key) ([]Checkpoint, error) {
	sc := wholeIn(r)
	h := history{at: standing{}}
	for sc.Scan() {
		s, err := k.open(sc.Bytes())
		if err != nil {
			return h.out, fmt.Errorf("checkpoint %d: %w", h.n+1, err)
		}
		if !s.follows {
			if err := h.check(); err != nil {
				return h.out, err
			}
		}
		h.add(s)
	}
	return h.out, errors.Join(h.check(), sc.Err())
}

// history is what the statements of a file say, one after the other.
type history struct {
	out      []Checkpoint
	n        int
	at       standing
	last     statement
	restored time.Time // by the last restore that counts
}

// check looks whether they said everything that the last of them covers.
func (h *history) check() error {
	if err := h.last.agrees(h.at); err != nil {
		return fmt.Errorf("checkpoint %d: %w", h.n, err)
	}
	return nil
}

func (h *history) add(s statement) {
	was := h.at
	h.n++
	if !s.follows {
		h.at = make(standing, len(s.Heads))
	}
	c := s.Checkpoint
	c.Heads = nil
	for _, head := range s.Heads {
		if s.Epoch > 0 || was[head.Writer] != head {
			c.Heads = append(c.Heads, head)
		}
		h.at[head.Writer] = head
	}
	h.last = s
	if s.Epoch > 0 && h.goesOn(s) {
		return
	}
	if s.Epoch > 0 && !s.At.After(h.restored) {
		c.Epoch = 0
	}
	if c.Epoch > 0 {
		h.restored = s.At
	}
	h.out = append(h.out, c)
}

// goesOn reports whether a statement belongs to the restore before it: as a part of what that signed, or as the same once more.
func (h *history) goesOn(s statement) bool {
	n := len(h.out)
	if n == 0 || h.out[n-1].Epoch != s.Epoch || !h.out[n-1].At.Equal(s.At) {
		return false
	}
	if s.follows {
		h.out[n-1].Heads = append(h.out[n-1].Heads, s.Heads...)
	}
	return true
}

// Covered returns where all chains stood at the end of a list of all checkpoints of a file.
func Covered(checkpoints []Checkpoint) []chain.Head {
	at := standing{}
	for _, c := range checkpoints {
		at = at.after(c)
	}
	return at.heads()
}

// after is where chains stood at a checkpoint: an accepted restore knows of nothing else.
func (s standing) after(c Checkpoint) standing {
	if c.Epoch > 0 {
		return stand(c.Heads)
	}
	for _, h := range c.Heads {
		if h.Seq >= s[h.Writer].Seq {
			s[h.Writer] = h
		}
	}
	return s
}
