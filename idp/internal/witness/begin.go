package witness

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ellis.example/idp/internal/chain"
)

// Role begins the names of the chains of processes that keep checkpoints. So the record itself tells that there were some, and
// a file of them that is not there is missed.
const Role = "wit"

// Together is how long after the first of them all replicas may begin their files. They are started one after the other, and
// who has a record of so short a time has nothing to set back.
const Together = time.Hour

// Behind says that a database has not all that was signed.
type Behind struct{ File, Why string }

// Error implements error.
func (b *Behind) Error() string {
	return fmt.Sprintf("the database is older than the last signed checkpoint in %s (%s)", b.File, b.Why)
}

// Gone says that a file that should hold checkpoints is not there or holds none.
type Gone struct {
	File  string
	Since time.Time // since when processes kept some
}

// Error implements error.
func (g *Gone) Error() string {
	return fmt.Sprintf("no checkpoint is in %s, and checkpoints of this database have been kept since %s: the name is wrong, its disk is not there, or a witness is gone, and nobody could tell whether the database was set back", g.File, g.Since.UTC().Format(time.RFC3339))
}

// Start looks at the beginning of a process whether the log has what the file signed, and whether the file may be begun where
// nothing is in it: it may where no process kept checkpoints before, or the first did so less than Together ago. Errors: *Behind,
// *Gone; those of the log, the file and tell.
func (c *Checkpointer) Start(ctx context.Context, tell Tell) (begins bool, err error) {
	said, kept, err := Last(c.File, c.Key)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.File, err)
	}
	if kept {
		why, err := said.Behind(ctx, c.Log)
		if err == nil && why != "" {
			err = &Behind{c.File, why}
		}
		return false, err
	}
	since, err := keptSince(ctx, c.Log, tell)
	if err == nil && !since.IsZero() && c.Now().Sub(since).Abs() > Together {
		err = &Gone{c.File, since}
	}
	return err == nil, err
}

// keptSince returns when a process that kept checkpoints recorded something first; zero: none did.
func keptSince(ctx context.Context, log Log, tell Tell) (first time.Time, err error) {
	heads, err := log.Heads(ctx)
	if err != nil {
		return first, err
	}
	for _, h := range heads {
		if !strings.HasPrefix(h.Writer, Role+"_") {
			continue
		}
		err := log.Walk(ctx, h.Writer, 0, func(r chain.Record) error {
			at, _, err := tell(r)
			if err != nil {
				return err
			}
			if first.IsZero() || at.Before(first) {
				first = at
			}
			return errSeen
		})
		if err != nil && !errors.Is(err, errSeen) {
			return first, err
		}
	}
	return first, nil
}

// ErrHolds says that a file is not begun: it holds checkpoints.
var ErrHolds = errors.New("the file holds checkpoints already: there is nothing to begin")

// Begin begins a file of checkpoints where somebody answers for the database. record writes into the log that it is begun, before
// anything is signed. Errors: ErrHolds; those of record, the log and the file.
func (c *Checkpointer) Begin(ctx context.Context, record func() error) error {
	_, kept, err := Last(c.File, c.Key)
	if err == nil && kept {
		err = ErrHolds
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := record(); err != nil {
		return err
	}
	return c.Once(ctx)
}
