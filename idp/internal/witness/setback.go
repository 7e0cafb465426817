package witness

import (
	"context"
	"errors"
	"os"
	"time"
)

// passed is how far a file was read, and the times of what was there.
type passed struct {
	end      int64     // of the file
	latest   time.Time // of the statements until there
	restored time.Time // by the last of them that said so; zero: this process knows of none
}

// pass notes that the log has all that was signed until now.
func (c *Checkpointer) pass(now standing) {
	c.last, c.whole = now, c.before.passed
}

func (p *passed) see(c Checkpoint) {
	if c.At.After(p.latest) {
		p.latest = c.At
	}
	if c.Epoch > 0 && c.At.After(p.restored) {
		p.restored = c.At
	}
}

// accepts reports whether a statement accepts what the log lost since. One of the time before says nothing of that, and each
// counts once: who has a copy of one can append it again, without the key.
func (p passed) accepts(c Checkpoint) bool {
	return c.Epoch > 0 && c.At.After(p.restored) && !c.At.Before(p.latest)
}

// blind looks without the file whether the log has what this process signed last. That it was accepted as it is, only the file
// says. Errors: ErrSetBack; those of the log.
func (c *Checkpointer) blind(ctx context.Context) error {
	heads, err := c.Log.Heads(ctx)
	if err != nil || !stand(heads).lacks(c.last) {
		return err
	}
	return c.halt()
}

// setBack returns ErrSetBack where the log ends before what was signed last, unless it was accepted as it is.
func (c *Checkpointer) setBack(ctx context.Context, f *os.File, now standing) error {
	if now.lacks(c.before.at) {
		c.pass(c.last.with(c.before.at)) // whatever is appended behind it
		return c.halt()
	}
	whole := !now.lacks(c.last)
	var err error
	switch {
	case !whole:
		whole, err = c.accepted(ctx, f)
	case c.halted: // it may have gone another way since
		whole, err = c.has(ctx, c.last)
	default:
		return nil
	}
	if err != nil || !whole {
		return errors.Join(err, c.halt())
	}
	c.halted = false
	call(c.Accepted)
	return nil
}

// halt returns ErrSetBack.
func (c *Checkpointer) halt() error {
	c.halted = true
	call(c.SetBack)
	return ErrSetBack
}

func call(f func()) {
	if f != nil {
		f()
	}
}

func (c *Checkpointer) has(ctx context.Context, at standing) (bool, error) {
	missing, err := Checkpoint{Heads: at.heads()}.Behind(ctx, c.Log)
	return err == nil && missing == "", err
}

// accepted looks for the last statement since nothing was missing that accepts what was lost: another process that shares the
// file may have gone on behind it. Errors: those of the log and of the file.
func (c *Checkpointer) accepted(ctx context.Context, f *os.File) (bool, error) {
	end := int64(0)
	err := c.Key.back(f, c.before.end, c.whole.end, func(s statement, at int64) bool {
		if c.whole.accepts(s.Checkpoint) {
			end = at
		}
		return end == 0
	})
	if err != nil || end == 0 {
		return false, err
	}
	said, _, err := last(f, end, c.Key)
	if err != nil {
		return false, err
	}
	return c.has(ctx, stand(said.Heads))
}

// back calls each for the statements between two ends of them, the last first, with where it ends, while that asks for more.
func (k *Key) back(f *os.File, end, begin int64, each func(s statement, end int64) (more bool)) error {
	if end <= begin {
		return nil
	}
	return backwards(f, end, func(text []byte) (more bool, err error) {
		s, err := k.open(text)
		if err != nil {
			return false, err
		}
		more = each(s, end)
		end -= int64(len(text) + len(separator))
		return more && end > begin, nil
	})
}
