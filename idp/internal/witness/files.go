package witness

import (
	"fmt"
	"strings"

	"ellis.example/idp/internal/chain"
)

// Files are the checkpoint files of all replicas of a service, as a restore finds them.
type Files struct {
	Names []string
	Last  []Checkpoint // of each that holds any
	Lost  []string     // those that are not there, or hold none

	key *Key
}

// OpenFiles reads the last checkpoint of each file. Errors: those of Last, with the name of the file.
func OpenFiles(names []string, k *Key) (Files, error) {
	f := Files{Names: names, key: k}
	for _, name := range names {
		c, kept, err := Last(name, k)
		switch {
		case err != nil:
			return f, fmt.Errorf("%s: %w", name, err)
		case kept:
			f.Last = append(f.Last, c)
		default:
			f.Lost = append(f.Lost, name)
		}
	}
	return f, nil
}

// Behind returns how many records a database with these heads lacks, at least, of what was signed.
func (f Files) Behind(heads []chain.Head) (n int64) {
	for _, c := range f.Last {
		n = max(n, c.Lost(heads))
	}
	return n
}

// Gap says what an export that ends at ends lacks of what was signed, or "" when it has all.
func (f Files) Gap(ends map[string]chain.Head) string {
	switch {
	case len(f.Names) == 0:
		return "no signed checkpoint says how far the export has to reach (--checkpoint-file)"
	case len(f.Lost) > 0:
		return "what was signed in " + strings.Join(f.Lost, ", ") + " is lost"
	}
	for _, c := range f.Last {
		for _, h := range c.Heads {
			if ends[h.Writer].Seq < h.Seq {
				return fmt.Sprintf("the export of writer %s ends at %d, a checkpoint knows record %d", h.Writer, ends[h.Writer].Seq, h.Seq)
			}
		}
	}
	return ""
}

// Sign appends a checkpoint to every file.
func (f Files) Sign(c Checkpoint) error {
	text, err := f.key.Sign(c)
	if err != nil {
		return err
	}
	for _, name := range f.Names {
		if err := Append(name, text); err != nil {
			return err
		}
	}
	return nil
}

// ReadLater calls each for the records of an export that a database with these heads does not have, and returns where the
// export ends. What both have must be the same. Errors: *chain.Broken; those of ReadExport and of each.
func ReadLater(file string, heads []chain.Head, each func(chain.Record) error) (ends map[string]chain.Head, err error) {
	have := map[string]chain.Head{}
	for _, h := range heads {
		have[h.Writer] = h
	}
	return ReadExport(file, func(r chain.Record) error {
		at := have[r.Writer]
		switch {
		case r.Seq == at.Seq && r.Hash != at.Hash:
			return &chain.Broken{Writer: r.Writer, Seq: r.Seq, Why: "the export is of another database, or one of the two was changed"}
		case r.Seq <= at.Seq:
			return nil
		}
		return each(r)
	})
}
