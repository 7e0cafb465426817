package main

import (
	"context"
	"fmt"
	"strings"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/witness"
)

// outside are the checkpoint files of every replica.
type outside struct {
	key    *witness.Key
	origin string
	files  []string
	last   []witness.Checkpoint // of each file that has any
	lost   []string             // files that are not there, or empty
}

// outside reads the checkpoint files. One that is not there is a mistake, unless it is said to be lost: a name that was
// mistyped must not pass for a witness that knows of nothing. Errors: *config.Error.
func (s *restoring) outside(codeKey []byte) (o outside, err error) {
	if o.key, err = ledger.NewKey(codeKey); err != nil {
		return o, err
	}
	o.origin = s.audience
	for name := range strings.SplitSeq(s.checkpoints, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		c, kept, err := witness.Last(name, o.key)
		if err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
		o.files = append(o.files, name)
		if !kept {
			o.lost = append(o.lost, name)
			continue
		}
		o.origin = c.Origin
		o.last = append(o.last, c)
	}
	if len(o.lost) > 0 && !s.lost {
		return o, &config.Error{Where: "--checkpoint-file", Problem: fmt.Sprintf("no checkpoint is in %s; where they are lost, say so with --checkpoints-lost", strings.Join(o.lost, ", "))}
	}
	return o, nil
}

// request reads what is known of the time that was lost. Where that may not be all, the operator has to say what to do about
// it. Errors: *config.Error.
func (s *restoring) request(ctx context.Context, store *sqlstore.Store, o outside) (q epoch.Request, err error) {
	q.Entry = operation(epoch.ActAccept)
	heads, err := store.Heads(ctx)
	if err != nil {
		return q, err
	}
	if q.Since, err = store.LastEntry(ctx); err != nil {
		return q, err
	}
	for _, c := range o.last {
		q.Lost = max(q.Lost, c.Lost(heads))
	}
	gap := "no exported ledger is named (--ledger)"
	if s.ledger != "" {
		var ends map[string]chain.Head
		if q.Replay, ends, err = readLater(s.ledger, heads); err != nil {
			return q, fmt.Errorf("%s: %w", s.ledger, err)
		}
		q.Lost = max(q.Lost, q.Replay.Events)
		gap = o.gap(ends)
	}
	if gap == "" {
		return q, nil
	}
	if s.unknown == "" {
		return q, &config.Error{Where: "--unknown", Problem: fmt.Sprintf("nobody can know which claim codes were used: %s; say whether those that look unused end or are kept", gap)}
	}
	q.Unknown, q.EndCodes = true, s.unknown == "end"
	return q, nil
}

// gap says what an export lacks of what was signed, or "" when it has all.
func (o outside) gap(ends map[string]chain.Head) string {
	switch {
	case len(o.files) == 0:
		return "no signed checkpoint says how far the export has to reach (--checkpoint-file)"
	case len(o.lost) > 0:
		return "what was signed in " + strings.Join(o.lost, ", ") + " is lost"
	}
	for _, c := range o.last {
		for _, h := range c.Heads {
			if ends[h.Writer].Seq < h.Seq {
				return fmt.Sprintf("the export of writer %s ends at %d, a checkpoint knows record %d", h.Writer, ends[h.Writer].Seq, h.Seq)
			}
		}
	}
	return ""
}

// readLater reads the entries of an export that the database does not have. What both have must be the same.
func readLater(file string, heads []chain.Head) (epoch.Replay, map[string]chain.Head, error) {
	have := map[string]chain.Head{}
	for _, h := range heads {
		have[h.Writer] = h
	}
	var later []ledger.Stored
	ends, err := witness.ReadExport(file, func(r chain.Record) error {
		at := have[r.Writer]
		switch {
		case r.Seq == at.Seq && r.Hash != at.Hash:
			return &chain.Broken{Writer: r.Writer, Seq: r.Seq, Why: "the export is of another database, or one of the two was changed"}
		case r.Seq <= at.Seq:
			return nil
		}
		e, err := ledger.Decode(r.Writer, r.Seq, r.Body)
		later = append(later, e)
		return err
	})
	return epoch.Later(later), ends, err
}

// sign says in every file that the database was accepted as it is now.
func (o outside) sign(ctx context.Context, store *sqlstore.Store, e epoch.Epoch) error {
	heads, err := store.Heads(ctx)
	if err != nil {
		return err
	}
	text, err := o.key.Sign(witness.Checkpoint{Origin: o.origin, At: e.At, Heads: heads, Epoch: e.N})
	if err != nil {
		return err
	}
	for _, f := range o.files {
		if err := witness.Append(f, text); err != nil {
			return err
		}
	}
	return nil
}
