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
	witness.Restored

	plan  epochs.Replay
	epoch epochs.Epoch
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
		l.Gap, l.Until = "no exported audit is named (--audit)", l.Last
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
	l.plan, l.Gap = epochs.Later(later), w.Gap(l.Database, l.Lost)
	return l, l.readLostAt(cmd)
}

// readLostAt reads when the database was in use last.
func (l *lostTime) readLostAt(cmd *cobra.Command) error {
	if err := l.ReadLostAt(str(cmd, "lost-at")); err != nil {
		return errUsage{fmt.Errorf("--lost-at: %w", err)}
	}
	return nil
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
			l.Accepted, l.Latest = a, a.Writer == last[0].Writer && a.Seq == last[0].Seq
		}
	}
	return err
}

// errInUse is returned where an acceptance would end everything in a database that seems to be the one in use.
var errInUse = errUsage{errors.New("nothing shows that this database was restored: it is no copy, and lacks nothing that was signed or exported; accepting it would end every session and replace every key, for nothing; if it was restored all the same, or that is meant, say so with --accept-in-use")}

// restored demands that something shows that the database was restored, or that the operator says to go on.
func (l *lostTime) restored(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, w witness.Files) error {
	meant, err := cmd.Flags().GetBool("accept-in-use")
	if err != nil || meant {
		return err
	}
	shown, err := l.Shown(ctx, st, w)
	if err == nil && !shown {
		err = errInUse
	}
	return err
}

// request says how to accept. Where what is known may not be all, the caller has to say what to do about it.
func (l *lostTime) request(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, w witness.Files) (q epochs.Request, err error) {
	if err := l.restored(ctx, cmd, st, w); err != nil {
		return q, err
	}
	q = epochs.Request{Actor: operator(), Replay: l.plan, Told: l.Until, Read: l.Read, LostAt: l.LostAt}
	doubt := l.Doubt()
	switch u := str(cmd, "unknown"); {
	case u != "" && u != "lock" && u != "keep":
		return q, errUsage{errors.New("--unknown: write lock or keep")}
	case doubt != "" && u == "":
		return q, errUsage{fmt.Errorf("nobody can know all that was lost: %s; say with --unknown whether to lock every account or to keep all as they are", doubt)}
	case doubt != "":
		q.Unknown, q.Lock = true, u == "lock"
	}
	return q, nil
}
