package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ellis.example/caseservice/internal/clock"
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

// lostTime is what is known of a restored database and of the time that it has lost.
type lostTime struct {
	witness.Restored

	plan  epoch.Replay
	epoch epoch.Epoch
}

// readLost looks at a restored database, its checkpoints and the export of its ledger.
func (s *restoring) readLost(ctx context.Context, store *sqlstore.Store, o witness.Files) (l lostTime, err error) {
	if l.epoch, err = store.Epoch(ctx); err != nil {
		return l, err
	}
	l.Now = clock.System{}.Now()
	if l.Heads, err = store.Heads(ctx); err != nil {
		return l, err
	}
	if err := l.readAccepted(ctx, store); err != nil {
		return l, err
	}
	if s.ledger == "" {
		l.Gap, l.Until = "no exported ledger is named (--ledger)", l.Last
		return l, l.readLostAt(s.lostAt)
	}
	if l.Lost, err = o.ReadLater(s.ledger, l.Database, epoch.Tell); err != nil {
		return l, fmt.Errorf("%s: %w", s.ledger, err)
	}
	var later []ledger.Stored
	for _, r := range l.Records {
		e, err := ledger.Decode(r.Writer, r.Seq, r.Body)
		if err != nil {
			return l, fmt.Errorf("%s: %w", s.ledger, err)
		}
		later = append(later, e)
	}
	l.plan, l.Gap = epoch.Later(later), o.Gap(l.Database, l.Lost)
	return l, l.readLostAt(s.lostAt)
}

// readLostAt reads when the database was in use last. Errors: *config.Error.
func (l *lostTime) readLostAt(text string) error {
	if err := l.ReadLostAt(text); err != nil {
		return &config.Error{Where: "--lost-at", Problem: err.Error()}
	}
	return nil
}

// readAccepted finds the acceptance that began the epoch of the database, and when its last entry was.
func (l *lostTime) readAccepted(ctx context.Context, store *sqlstore.Store) error {
	last, err := store.Tail(ctx, nil, 1)
	if err != nil || len(last) == 0 {
		return err
	}
	l.Last = last[0].At
	if l.epoch.At.IsZero() {
		return nil
	}
	accepts, err := store.Since(ctx, l.epoch.At.Add(-time.Second), epoch.ActAccept)
	for _, e := range accepts {
		if a := epoch.Acceptance(e); a != nil && a.Epoch == l.epoch.N {
			l.Accepted, l.Latest = a, a.Writer == last[0].Writer && a.Seq == last[0].Seq
		}
	}
	return err
}

// errInUse is returned where an acceptance would stop claims over a database that seems to be the one in use.
var errInUse = &config.Error{Where: "--accept", Problem: "nothing shows that this database was restored: it is no copy, and lacks nothing that was signed or exported; accepting it would stop claims for an hour, for nothing; if it was restored all the same, or that is meant, say so with --accept-in-use"}

// restored demands that something shows that the database was restored, or that the operator says to go on.
func (s *restoring) restored(ctx context.Context, store *sqlstore.Store, l lostTime, o witness.Files) error {
	if s.inUse {
		return nil
	}
	shown, err := l.Shown(ctx, store, o)
	if err == nil && !shown {
		err = errInUse
	}
	return err
}

// request says how to accept. Where what is known may not be all, the operator has to say what to do about it. Errors:
// *config.Error.
func (s *restoring) request(l lostTime, o witness.Files) (q epoch.Request, err error) {
	q = epoch.Request{
		Entry: operation(epoch.ActAccept), Replay: l.plan, Lost: max(o.Behind(l.Database), l.plan.Events), Since: l.Last, Told: l.Until, Read: l.Read, LostAt: l.LostAt,
	}
	doubt := l.Doubt()
	if doubt == "" {
		return q, nil
	}
	if s.unknown == "" {
		return q, &config.Error{Where: "--unknown", Problem: fmt.Sprintf("nobody can know which claim codes were used: %s; say whether those that look unused end or are kept", doubt)}
	}
	q.Unknown, q.EndCodes = true, s.unknown == "end"
	return q, nil
}
