package epoch

import (
	"context"
	"fmt"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

// Deps is what accepting a restored database stands on.
type Deps struct {
	Store  Reader
	Commit unit.Committer
	Clock  clock.Clock
}

// Request says how to accept.
type Request struct {
	Entry  ledger.Entry // who accepts; act and reason are set here
	Replay Replay       // what the exported ledger says; empty where there is none
	Lost   int64        // how many records are known to be lost, at least
	Since  time.Time    // of the last record that the database has; zero: it has none
	// Unknown is set where the export may lack something.
	Unknown bool
	// EndCodes is set where unused claim codes of which nobody can know end.
	EndCodes bool
}

// Accept takes a restored database as the one that counts from now on, and does again what is known of the time that was
// lost, in one unit. Of several that try, one succeeds. Errors: ErrMeanwhile; those of the store.
func Accept(ctx context.Context, d Deps, q Request) (Epoch, error) {
	from, err := d.Store.Epoch(ctx)
	if err != nil {
		return Epoch{}, err
	}
	to := Epoch{N: from.N + 1, At: d.Clock.Now()}
	r := Raise{From: from.N, At: to.At, ClaimsFrom: q.ClaimsFrom(to), EndCodes: q.EndCodes}
	q.Entry.Act, q.Entry.Reason = ActAccept, q.reason(to)
	err = d.Commit.Commit(ctx, unit.Unit{Writes: append([]unit.Write{r}, q.Replay.again...), Event: q.Entry})
	if unit.IsConflict(err) {
		return Epoch{}, ErrMeanwhile.Because(err)
	}
	return to, err
}

// ClaimsFrom is when claims are taken again.
func (q Request) ClaimsFrom(to Epoch) time.Time {
	if q.Unknown {
		return to.At.Add(PauseUnknown)
	}
	return to.At.Add(PauseKnown)
}

// Codes says what becomes of claim codes that are unused in the copy: ended, kept, or known where none of them was used.
func (q Request) Codes() string {
	switch {
	case q.EndCodes:
		return "ended"
	case q.Unknown:
		return "kept"
	}
	return "known"
}

// reason is the gap as the ledger keeps it.
func (q Request) reason(to Epoch) string {
	since := "never"
	if !q.Since.IsZero() {
		since = q.Since.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("epoch=%d,since=%s,lost_at_least=%d,replayed=%d,codes=%s", to.N, since, q.Lost, q.Replay.Events, q.Codes())
}
