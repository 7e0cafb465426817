package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/witness"
)

// lostTime is what is known of a restored database and of the time that it has lost.
type lostTime struct {
	witness.Database
	witness.Lost

	plan   epochs.Replay
	epoch  epochs.Epoch
	latest bool      // nothing is recorded behind the acceptance that began its epoch
	lostAt time.Time // as the operator says; zero: nobody does
	gap    string
}

// readLost looks at a restored database, its checkpoints and the export of its audit.
func readLost(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, w witness.Files) (l lostTime, err error) {
	if l.epoch, err = st.Epoch(ctx); err != nil {
		return l, err
	}
	l.Now = clock.System{}.Now()
	if l.Heads, err = st.Heads(ctx); err != nil {
		return l, err
	}
	if err := l.readAccepted(ctx, st); err != nil {
		return l, err
	}
	file := str(cmd, "audit")
	if file == "" {
		l.gap, l.Until = "no exported audit is named (--audit)", l.Last
		return l, l.readLostAt(cmd)
	}
	if l.Lost, err = w.ReadLater(file, l.Database, epochs.Tell); err != nil {
		return l, fmt.Errorf("%s: %w", file, err)
	}
	var later []audit.Stored
	for _, r := range l.Records {
		e, err := audit.Decode(r.Writer, r.Seq, r.Body)
		if err != nil {
			return l, fmt.Errorf("%s: %w", file, err)
		}
		later = append(later, e)
	}
	l.plan, l.gap = epochs.Later(later), w.Gap(l.Database, l.Lost)
	return l, l.readLostAt(cmd)
}

// readLostAt reads when the database was in use last, which nobody knows but the operator.
func (l *lostTime) readLostAt(cmd *cobra.Command) (err error) {
	text := str(cmd, "lost-at")
	if text == "" {
		return nil
	}
	if l.lostAt, err = time.Parse(time.RFC3339, text); err != nil || l.lostAt.After(l.Now) {
		return errUsage{errors.New("--lost-at: write a time that has been, as 2026-11-28T05:59:00Z")}
	}
	if l.Until.After(l.lostAt.Add(witness.Patience)) {
		return errUsage{fmt.Errorf("--lost-at: the database was still in use at %s, as its audit says", l.Until.UTC().Format(time.RFC3339))}
	}
	return nil
}

// stopped says that the witnesses may have stopped before the database was lost, or "".
func (l *lostTime) stopped() string {
	if !l.lostAt.IsZero() {
		return l.Stopped(l.lostAt)
	}
	if why := l.Stopped(l.Now); why != "" {
		return why + ", where --lost-at does not say less"
	}
	return ""
}

// soonAfter is how many events are looked at behind the beginning of an epoch: its own is among the first.
const soonAfter = 1000

// readAccepted finds the acceptance that began the epoch of the database, and when its last event was.
func (l *lostTime) readAccepted(ctx context.Context, st *sqlstore.Store) error {
	last, err := st.LatestEvents(ctx, 1)
	if err != nil || len(last) == 0 {
		return err
	}
	l.Last = last[0].At
	if l.epoch.At.IsZero() {
		return nil
	}
	list, err := st.EventsSince(ctx, l.epoch.At.Add(-time.Second), soonAfter)
	for _, e := range list {
		if a := epochs.Acceptance(e); a != nil && a.Epoch == l.epoch.N {
			l.Accepted, l.latest = a, a.Writer == last[0].Writer && a.Seq == last[0].Seq
		}
	}
	return err
}

// onlySign reports whether the database was accepted already, nothing was lost since, and that is only not signed everywhere.
// It then returns the epoch that is to be signed.
func (l *lostTime) onlySign(ctx context.Context, st *sqlstore.Store, w witness.Files) (epochs.Epoch, bool, error) {
	if l.Accepted == nil || !l.latest || len(l.Records) > 0 || l.stopped() != "" {
		return l.epoch, false, nil
	}
	if is, err := st.IsCopy(ctx); err != nil || is {
		return l.epoch, false, err
	}
	unsigned, err := w.Unsigned(ctx, st, l.Database)
	return l.epoch, unsigned, err
}

// errInUse is returned where an acceptance would end everything in a database that seems to be the one in use.
var errInUse = errUsage{errors.New("nothing shows that this database was restored: it is no copy, and lacks nothing that was signed or exported; accepting it would end every session and replace every key, for nothing; if it was restored all the same, or that is meant, say so with --accept-in-use")}

// restored demands that something shows that the database was restored, or that the operator says to go on. A server that was
// restored to a point in time has no mark: there, what was signed or exported is missing.
func (l *lostTime) restored(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, w witness.Files) error {
	meant, err := cmd.Flags().GetBool("accept-in-use")
	if err != nil || meant {
		return err
	}
	if is, err := st.IsCopy(ctx); err != nil || is {
		return err
	}
	if is, err := w.SetBack(ctx, st, l.Database, l.Lost); err != nil || is {
		return err
	}
	return errInUse
}

// request says how to accept. Where what is known may not be all, the caller has to say what to do about it.
func (l *lostTime) request(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, w witness.Files) (q epochs.Request, err error) {
	if err := l.restored(ctx, cmd, st, w); err != nil {
		return q, err
	}
	q = epochs.Request{Actor: operator(), Replay: l.plan, Told: l.Until, Read: l.Read, LostAt: l.lostAt}
	if l.gap == "" {
		l.gap = l.stopped()
	}
	switch u := str(cmd, "unknown"); {
	case u != "" && u != "lock" && u != "keep":
		return q, errUsage{errors.New("--unknown: write lock or keep")}
	case l.gap != "" && u == "":
		return q, errUsage{fmt.Errorf("nobody can know all that was lost: %s; say with --unknown whether to lock every account or to keep all as they are", l.gap)}
	case l.gap != "":
		q.Unknown, q.Lock = true, u == "lock"
	}
	return q, nil
}
