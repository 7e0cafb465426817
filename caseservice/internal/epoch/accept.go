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
	pause := PauseKnown
	if q.Unknown {
		pause = PauseUnknown
	}
	r := Raise{From: from.N, At: to.At, ClaimsFrom: to.At.Add(pause), EndCodes: q.EndCodes}
	q.Entry.Act, q.Entry.Reason = ActAccept, q.reason(to)
	err = d.Commit.Commit(ctx, unit.Unit{Writes: append([]unit.Write{r}, q.Replay.again...), Event: q.Entry})
	if unit.IsConflict(err) {
		return Epoch{}, ErrMeanwhile.Because(err)
	}
	return to, err
}

// reason is the gap as the ledger keeps it.
func (q Request) reason(to Epoch) string {
	since, codes := "never", "kept"
	if !q.Since.IsZero() {
		since = q.Since.UTC().Format(time.RFC3339)
	}
	switch {
	case q.EndCodes:
		codes = "ended"
	case !q.Unknown:
		codes = "known"
	}
	return fmt.Sprintf("epoch=%d,since=%s,lost_at_least=%d,replayed=%d,codes=%s", to.N, since, q.Lost, q.Replay.Events, codes)
}
