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

// outside reads the checkpoint files of every replica, and returns the name under which they speak of the database. One that
// is not there is a mistake, unless it is said to be lost: a name that was mistyped must not pass for a witness that knows of
// nothing. Errors: *config.Error.
func (s *restoring) outside(codeKey []byte) (f witness.Files, origin string, err error) {
	key, err := ledger.NewKey(codeKey)
	if err != nil {
		return f, "", err
	}
	var names []string
	for name := range strings.SplitSeq(s.checkpoints, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if f, err = witness.OpenFiles(names, key); err != nil {
		return f, "", err
	}
	origin = s.audience
	if n := len(f.Last); n > 0 {
		origin = f.Last[n-1].Origin
	}
	if len(f.Lost) > 0 && !s.lost {
		return f, "", &config.Error{Where: "--checkpoint-file", Problem: fmt.Sprintf("no checkpoint is in %s; where they are lost, say so with --checkpoints-lost", strings.Join(f.Lost, ", "))}
	}
	return f, origin, nil
}

// request reads what is known of the time that was lost. Where that may not be all, the operator has to say what to do about
// it. Errors: *config.Error.
func (s *restoring) request(ctx context.Context, store *sqlstore.Store, o witness.Files) (q epoch.Request, err error) {
	q.Entry = operation(epoch.ActAccept)
	heads, err := store.Heads(ctx)
	if err != nil {
		return q, err
	}
	if q.Since, err = store.LastEntry(ctx); err != nil {
		return q, err
	}
	q.Lost = o.Behind(heads)
	gap := "no exported ledger is named (--ledger)"
	if s.ledger != "" {
		var ends map[string]chain.Head
		if q.Replay, ends, err = readLater(s.ledger, heads); err != nil {
			return q, fmt.Errorf("%s: %w", s.ledger, err)
		}
		q.Lost = max(q.Lost, q.Replay.Events)
		gap = o.Gap(ends)
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

// readLater reads the entries of an export that the database does not have.
func readLater(file string, heads []chain.Head) (epoch.Replay, map[string]chain.Head, error) {
	var later []ledger.Stored
	ends, err := witness.ReadLater(file, heads, func(r chain.Record) error {
		e, err := ledger.Decode(r.Writer, r.Seq, r.Body)
		later = append(later, e)
		return err
	})
	return epoch.Later(later), ends, err
}
