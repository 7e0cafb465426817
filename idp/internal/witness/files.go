package witness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ellis.example/idp/internal/chain"
)

// Files are the checkpoint files of all replicas of a service, as a restore finds them.
type Files struct {
	Names []string
	Last  []Checkpoint // of each that holds any
	Lost  []string     // those that are not there, or hold none

	key    *Key
	files  map[string]inFile   // by name
	signed map[chain.Head]bool // what any checkpoint of any file ever said
	places map[place]bool      // and of which records
}

// inFile is what a file says of restores.
type inFile struct {
	latest  time.Time  // of all its checkpoints
	restore Checkpoint // the last that counts
}

// place is where a record stands.
type place struct {
	writer string
	seq    int64
}

// OpenFiles verifies and reads every checkpoint of each file. Errors: those of ReadAll, with the name of the file.
func OpenFiles(names []string, k *Key) (Files, error) {
	f := Files{Names: names, key: k, files: map[string]inFile{}, signed: map[chain.Head]bool{}, places: map[place]bool{}}
	for _, name := range names {
		c, kept, err := Last(name, k)
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
		if !kept {
			f.Lost = append(f.Lost, name)
			continue
		}
		all, err := ReadAll(name, k)
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
		whole, in := allOf(all), inFile{}
		if c.Epoch > 0 && all[len(all)-1].Epoch == 0 || stand(c.Heads).lacks(stand(whole.Heads)) { // an earlier one was appended again
			c = whole
		}
		for _, c := range all {
			f.learn(c)
			if c.Epoch > 0 {
				in.restore = c
			}
		}
		in.latest = whole.At
		f.Last, f.files[name] = append(f.Last, c), in
	}
	return f, nil
}

// allOf is what checkpoints say together.
func allOf(list []Checkpoint) Checkpoint {
	c := Checkpoint{Origin: list[0].Origin, Heads: Covered(list)}
	for _, one := range list {
		if one.At.After(c.At) {
			c.At = one.At
		}
	}
	return c
}

func (f Files) learn(c Checkpoint) {
	for _, h := range c.Heads {
		f.signed[h], f.places[place{h.Writer, h.Seq}] = true, true
	}
}

// agrees checks a record against all that was ever signed. One that a restore threw away may have had the same number: then
// both were signed. Errors: *chain.Broken.
func (f Files) agrees(r chain.Record) error {
	if f.places[place{r.Writer, r.Seq}] && !f.signed[chain.Head{Writer: r.Writer, Seq: r.Seq, Hash: r.Hash}] {
		return &chain.Broken{Writer: r.Writer, Seq: r.Seq, Why: "the export does not have what a checkpoint signed"}
	}
	return nil
}

// Behind returns how many records a database lacks, at least, of what was signed since it was accepted last.
func (f Files) Behind(d Database) (n int64) {
	for _, c := range f.Last {
		if !d.Accepted.tookBack(c) {
			n = max(n, c.Lost(d.Heads))
		}
	}
	return n
}

// Gap says what a database and the export of it lack of what was signed, or why nobody can say that the export has all; ""
// when it has.
func (f Files) Gap(d Database, l Lost) string {
	switch {
	case len(f.Names) == 0:
		return "no signed checkpoint says how far the export has to reach (--checkpoint-file)"
	case len(f.Lost) > 0:
		return "what was signed in " + strings.Join(f.Lost, ", ") + " is lost"
	}
	for _, c := range f.Last {
		if d.Accepted.tookBack(c) {
			continue
		}
		for _, h := range c.Heads {
			if l.ends[h.Writer] < h.Seq {
				return fmt.Sprintf("the export of writer %s ends at %d, a checkpoint knows record %d", h.Writer, l.ends[h.Writer], h.Seq)
			}
		}
	}
	return l.doubt
}

// Unsigned reports whether a database has all that was signed, but for what its acceptance took back, and a file does not
// tell of that acceptance: the command that accepted it ended before it had signed everywhere. Where a file is lost, nobody can
// say so. Errors: those of the log.
func (f Files) Unsigned(ctx context.Context, log Log, d Database) (unsigned bool, err error) {
	if len(f.Lost) > 0 {
		return false, nil
	}
	for _, c := range f.Last {
		if d.Accepted.tookBack(c) {
			unsigned = true
			continue
		}
		if missing, err := c.Behind(ctx, log); err != nil || missing != "" {
			return false, err
		}
	}
	return unsigned, nil
}

// SetBack reports whether anything that was signed or exported shows that a database was restored: it lacks some of it, or a
// file does not tell of the acceptance that began its epoch. What was exported after the database was looked at is not lost:
// somebody may be using it. Errors: those of the log.
func (f Files) SetBack(ctx context.Context, log Log, d Database, l Lost) (bool, error) {
	heads, err := log.Heads(ctx)
	if err != nil {
		return false, err
	}
	have := stand(heads)
	if slices.ContainsFunc(l.Records, func(r chain.Record) bool { return r.Seq > have[r.Writer].Seq }) {
		return true, nil
	}
	for _, c := range f.Last {
		if d.Accepted.tookBack(c) {
			return true, nil
		}
		if missing, err := c.Behind(ctx, log); err != nil || missing != "" {
			return true, err
		}
	}
	return false, nil
}

// Sign appends the checkpoint of an acceptance to every file that does not have it. It is dated later than whatever stands in the
// file, also where the clock is behind those that signed there: by that it is told from an older one that is appended again.
func (f Files) Sign(c Checkpoint) error {
	for _, name := range f.Names {
		in := f.files[name]
		if was := in.restore; was.Epoch == c.Epoch && !stand(c.Heads).lacks(stand(was.Heads)) {
			continue
		}
		c := c
		if !c.At.After(in.latest) {
			c.At = in.latest.Add(time.Microsecond)
		}
		text, err := f.key.Sign(c)
		if err != nil {
			return err
		}
		if err := Append(name, text); err != nil {
			return err
		}
	}
	return nil
}
