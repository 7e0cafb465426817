package epoch

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/witness"
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
	// Told is up to when records tell, and Read the export that was read: a restore of an older copy has to find what this one
	// knew. LostAt is when the database was lost, where the operator said so.
	Told, LostAt time.Time
	Read         witness.Mark
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
	return allKnown
}

// allKnown is what becomes of codes where the export told all.
const allKnown = "known"

// reason is the gap as the ledger keeps it.
func (q Request) reason(to Epoch) string {
	said := []string{
		fmt.Sprintf("epoch=%d", to.N), "since=" + timeOrNever(q.Since), "until=" + timeOrNever(q.Told), fmt.Sprintf("lost_at_least=%d", q.Lost),
		fmt.Sprintf("replayed=%d", q.Replay.Events), "export=" + q.Read.String(),
	}
	if !q.LostAt.IsZero() {
		said = append(said, "lost_at="+timeOrNever(q.LostAt))
	}
	return strings.Join(append(said, "codes="+q.Codes()), ",")
}

func timeOrNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// Acceptance reads the entry of one; nil: it is another entry.
func Acceptance(e ledger.Stored) *witness.Acceptance {
	if e.Act != ActAccept || e.Outcome != ledger.Allowed {
		return nil
	}
	said := map[string]string{}
	for part := range strings.SplitSeq(e.Reason, ",") {
		name, value, _ := strings.Cut(part, "=")
		said[name] = value
	}
	n, _ := strconv.ParseInt(said["epoch"], 10, 64) // what is no number is no epoch of ours
	read, _ := witness.ParseMark(said["export"])    // earlier releases noted none
	return &witness.Acceptance{Writer: e.Writer, Seq: e.Seq, Epoch: n, At: e.At, Knew: said["codes"] == allKnown, Read: read}
}

// Tell is a witness.Tell. Errors: those of ledger.Decode.
func Tell(r chain.Record) (time.Time, *witness.Acceptance, error) {
	e, err := ledger.Decode(r.Writer, r.Seq, r.Body)
	return e.At, Acceptance(e), err
}
