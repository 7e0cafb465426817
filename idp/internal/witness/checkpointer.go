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
	// was accepted, as the file says, or nothing is missing any more: signing goes on. Either may be nil.
	SetBack, Accepted func()

	last   standing // what this process signed last, or found at its beginning
	before pinned   // what the file said when it was last looked at
	whole  passed   // how far the file was read when nothing was missing last
	halted bool     // SetBack was called, and Accepted was not since
}

// pinned is what a file says up to a place of it.
type pinned struct {
	file os.FileInfo
	passed
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
	return c.sign(ctx, f)
}

// sign is Once in a file that is this process's.
func (c *Checkpointer) sign(ctx context.Context, f *os.File) error {
	if err := c.look(f); err != nil {
		return errors.Join(err, c.blind(ctx))
	}
	heads, err := c.Log.Heads(ctx) // not before the file is ours: what others signed in it is no later than that
	if err != nil {
		return err
	}
	now := stand(heads)
	if err := c.setBack(ctx, f, now); err != nil {
		return err
	}
	list, follows := c.moved(now)
	if len(list) == 0 {
		c.pass(now)
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
	c.pass(now) // whether it reaches the file or not
	end, err := write(f, c.before.end, text)
	if err != nil {
		return err // what it left behind is read again
	}
	c.before.end, c.before.said, c.before.at, c.before.named = end, said, now, list[len(list)-1].Writer
	c.before.see(said)
	c.pass(now)
	return nil
}

func (c *Checkpointer) open(ctx context.Context) (*os.File, error) {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	return openLocked(ctx, c.File)
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
	if c.before.file == nil || !os.SameFile(c.before.file, info) || end < c.before.end {
		c.before.end, c.whole.end = 0, 0
		c.before = pinned{passed: c.before.passed, at: standing{}}
	}
	if end != c.before.end {
		if err := c.read(f, end); err != nil {
			return err
		}
	}
	if c.before.file = info; c.last == nil {
		c.pass(c.before.at)
	}
	return nil
}

// read reads what is new in the file.
func (c *Checkpointer) read(f *os.File, end int64) (err error) {
	p := pinned{passed: c.before.passed}
	if c.before.end > 0 {
		err = c.Key.back(f, end, c.before.end, func(s statement, _ int64) bool { p.see(s.Checkpoint); return true })
		if err != nil {
			return err
		}
	}
	if p.said, p.named, err = last(f, end, c.Key); err != nil {
		return err
	}
	p.see(p.said)
	p.at, p.end = stand(p.said.Heads), end
	c.before = p
	return nil
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
