package witness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Behind says that a database has not all that was signed in a file of checkpoints, or that an export has.
type Behind struct {
	File, Why string
	Export    bool
}

// Error implements error.
func (b *Behind) Error() string {
	than := "the last signed checkpoint in "
	if b.Export {
		than = "the export "
	}
	return fmt.Sprintf("the database is older than %s%s (%s)", than, b.File, b.Why)
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

// Start looks at the beginning of a process whether the log has what the file signed, and begins the file where nothing is in it
// and it may be begun: where no process kept checkpoints before, or the first did so less than Together ago. It is signed at
// once, so what this process records is never without a file that is missed later; in an empty log record writes something to sign.
// Errors: *Behind, *Gone; those of the log, the file, tell and record.
func (c *Checkpointer) Start(ctx context.Context, tell Tell, record func() error) (begins bool, err error) {
	said, kept, err := Last(c.File, c.Key)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.File, err)
	}
	if kept {
		why, err := said.Behind(ctx, c.Log)
		if err == nil && why != "" {
			err = &Behind{File: c.File, Why: why}
		}
		return false, err
	}
	since, err := keptSince(ctx, c.Log, tell)
	if err == nil && !since.IsZero() && c.Now().Sub(since).Abs() > Together {
		err = &Gone{c.File, since}
	}
	if err == nil {
		err = c.Begin(ctx, func() error {
			heads, err := c.Log.Heads(ctx)
			if err == nil && len(heads) == 0 {
				err = record()
			}
			return err
		})
	}
	if errors.Is(err, ErrHolds) { // a replica that shares it was quicker
		return c.Start(ctx, tell, record)
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

// Vouch looks whether the log has what other files of checkpoints signed. Errors: *Behind; a file that holds none, or those of
// another service; those of the log and the files.
func (c *Checkpointer) Vouch(ctx context.Context, files []string) error {
	for _, file := range files {
		said, kept, err := Last(file, c.Key)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if !kept {
			return fmt.Errorf("%s: no checkpoint is there: the name is wrong, or a witness is gone", file)
		}
		if said.Origin != c.Origin {
			return fmt.Errorf("%s: it is of %s, not of %s", file, said.Origin, c.Origin)
		}
		why, err := said.Behind(ctx, c.Log)
		if err == nil && why != "" {
			err = &Behind{File: file, Why: why}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Begin begins a file of checkpoints where somebody answers for the database. record writes into the log that it is begun, once the
// file is open and before anything is signed. Errors: ErrHolds; those of record, the log and the file.
func (c *Checkpointer) Begin(ctx context.Context, record func() error) (err error) {
	f, err := c.open(ctx)
	if err != nil {
		return unopened(c.File, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
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
	return c.sign(ctx, f)
}

// unopened tells a directory that is not there from other reasons why a file cannot be opened.
func unopened(file string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: the directory %s is not there: make it, or mount its disk", file, filepath.Dir(file))
	}
	return err
}

// Beginnable looks, before a process records anything, whether a file that holds nothing could be begun: once something is
// recorded, the file is missed. Errors: those of the file.
func Beginnable(file string) error {
	info, err := os.Stat(file)
	if err == nil && info.Size() > 0 {
		return nil
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(file, os.O_RDWR, 0) //nolint:gosec // the operator names the file
	} else {
		f, err = os.CreateTemp(filepath.Dir(file), ".checkpoints-")
	}
	if err != nil {
		return unopened(file, err)
	}
	if info == nil {
		err = os.Remove(f.Name())
	}
	return errors.Join(err, f.Close())
}
