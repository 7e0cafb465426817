package witness

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"time"

	"ellis.example/idp/internal/chain"
)

// Checkpointer signs checkpoints of a log from time to time.
type Checkpointer struct {
	Log    Log
	Key    *Key
	Origin string
	File   string
	Now    func() time.Time

	// SetBack is called when the log ends before what was signed last; nothing is signed then. Accepted is called once that
	// was accepted, as the file says: signing goes on. Either may be nil.
	SetBack, Accepted func()

	last   standing // what this process signed last, or found at its beginning
	before pinned   // what the file said when it was last looked at
}

// pinned is what a file says up to a place of it.
type pinned struct {
	file  os.FileInfo
	end   int64
	said  Checkpoint
	at    standing
	named string // the writer that its last line names: the next statement repeats those behind it
}

// ErrSetBack says that a log has lost what a checkpoint of it signed.
var ErrSetBack = errors.New("the database has lost what was recorded before: it was set back to an earlier state")

// Once signs a checkpoint if anything was recorded since the last one. It waits half a minute for another process that is at
// the file. Where the file fails, it still looks whether the log has what this process signed last. Errors: ErrSetBack; those
// of the log and of the file; ctx's.
func (c *Checkpointer) Once(ctx context.Context) (err error) {
	f, err := c.open(ctx)
	if err != nil {
		return errors.Join(err, c.blind(ctx))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := c.look(f); err != nil {
		return errors.Join(err, c.blind(ctx))
	}
	heads, err := c.Log.Heads(ctx) // not before the file is ours: what others signed in it is no later than that
	if err != nil {
		return err
	}
	now := stand(heads)
	if err := c.setBack(ctx, now); err != nil {
		return err
	}
	c.last = now
	list, follows := c.moved(now)
	if len(list) == 0 {
		return nil
	}
	before := c.before.at
	if !follows {
		before = nil
	}
	said := Checkpoint{Origin: c.Origin, At: c.Now(), Heads: list}
	text, err := c.Key.sign(said, before)
	if err != nil {
		return err
	}
	c.before.end, err = write(f, c.before.end, text)
	if err != nil {
		c.before.file = nil // it is read again
		return err
	}
	c.before.said, c.before.at, c.before.named = said, now, list[len(list)-1].Writer
	return nil
}

func (c *Checkpointer) open(ctx context.Context) (*os.File, error) {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	return openLocked(ctx, c.File)
}

// blind looks without the file whether the log has what this process signed last. That it was accepted as it is, only the file
// says. Errors: ErrSetBack; those of the log.
func (c *Checkpointer) blind(ctx context.Context) error {
	heads, err := c.Log.Heads(ctx)
	if err != nil || !stand(heads).lacks(c.last) {
		return err
	}
	call(c.SetBack)
	return ErrSetBack
}

// look reads what others wrote into the file.
func (c *Checkpointer) look(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end, err := whole(f)
	if err != nil {
		return err
	}
	if c.before.file == nil || end != c.before.end || !os.SameFile(c.before.file, info) {
		p := pinned{end: end}
		if end > 0 {
			if p.said, p.named, err = last(f, end, c.Key); err != nil {
				return err
			}
		}
		p.at = stand(p.said.Heads)
		if c.before = p; c.last == nil {
			c.last = p.at
		}
	}
	c.before.file = info
	return nil
}

// setBack returns ErrSetBack where the log ends before what was signed last, unless it was accepted as it is.
func (c *Checkpointer) setBack(ctx context.Context, now standing) (err error) {
	lost := now.lacks(c.last)
	if !lost && !now.lacks(c.before.at) {
		return nil
	}
	if lost && c.before.said.Epoch > 0 {
		var missing string
		if missing, err = c.before.said.Behind(ctx, c.Log); err == nil && missing == "" {
			call(c.Accepted)
			return nil
		}
	}
	call(c.SetBack)
	return errors.Join(err, ErrSetBack)
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// repeated is how many heads a statement repeats that did not move, in turn: so the last few statements of a file together say
// everything, however long it is.
const repeated = 16

// moved returns the heads to state, none where none moved, and whether they follow what the file says. Where all that stand
// still would be repeated anyway, they do not.
func (c *Checkpointer) moved(now standing) (out []chain.Head, follows bool) {
	names := slices.Sorted(maps.Keys(now))
	var still []string
	for _, w := range names {
		if c.before.at[w] == now[w] {
			still = append(still, w)
		} else {
			out = append(out, now[w])
		}
	}
	if len(out) == 0 {
		return nil, false
	}
	if len(still) <= repeated {
		return now.heads(), false
	}
	next, found := slices.BinarySearch(still, c.before.named)
	if found {
		next++
	}
	for i := range repeated {
		out = append(out, now[still[(next+i)%len(still)]])
	}
	return out, true
}
