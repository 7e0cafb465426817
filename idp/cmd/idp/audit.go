package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/audit/trace"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/clock"
	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/witness"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Verify, follow and trace the record of what was decided"}
	databaseFlags(cmd.PersistentFlags())
	cmd.AddCommand(newAuditVerify(), newAuditTail(), newAuditTrace(), newAuditExport(), newAuditBegin())
	return cmd
}

func newAuditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Follow every chain and compare it with the signed checkpoints", Args: cobra.NoArgs,
		Long: `Follow every chain and compare it with the signed checkpoints, and every event with the export (--audit).

What was recorded after the last checkpoint and the last line of the export has no witness outside the
database: it says how old they are and how much they lack. With --max-age the status is 1 when what lacks
something is older.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error { return verified(ctx, cmd, st) })
		},
	}
	keyFlags(cmd.Flags())
	checkpointFlag(cmd.Flags())
	issuerFlag(cmd.Flags())
	cmd.Flags().String("audit", "", "file that `idp audit export` wrote")
	cmd.Flags().Duration("max-age", 0, "how old a copy outside the database may be that lacks something; 0: any age")
	return cmd
}

// outsideReport is how far a copy outside the database goes.
type outsideReport struct {
	Copy  string    `json:"copy"` // checkpoint or export
	At    time.Time `json:"at"`   // of the last that it knows
	Age   int64     `json:"age_seconds"`
	Lacks int64     `json:"lacks"` // events that it does not have
}

// verified prints what became of a verification.
func verified(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) error {
	most, err := cmd.Flags().GetDuration("max-age")
	if err != nil {
		return err
	}
	points, err := readCheckpoints(cmd, st)
	if err != nil {
		return err
	}
	if most > 0 && str(cmd, "checkpoint-file") == "" && str(cmd, "audit") == "" {
		return errUsage{errors.New("--max-age: name the copies that may not be older, with --checkpoint-file, --audit or both")}
	}
	outside, differs, err := outsideCopies(ctx, cmd, st, points)
	if err != nil {
		return err
	}
	r, err := witness.Verify(ctx, st, points)
	if err != nil {
		return err
	}
	r.Broken = append(r.Broken, differs...)
	lines := []string{fmt.Sprintf("%d events of %d writers, %d checkpoints", r.Events, r.Writers, r.Checkpoints)}
	for _, x := range r.Restores {
		lines = append(lines, fmt.Sprintf("restored: epoch %d, accepted %s, at least %d events lost", x.Epoch, x.At.Format(time.RFC3339), x.Lost))
	}
	for _, b := range r.Broken {
		lines = append(lines, "BROKEN "+b.Error())
	}
	if r.Whole() {
		lines = append(lines, "whole: nothing was changed, removed or added")
	}
	late := false
	for _, o := range outside {
		late = late || most > 0 && o.Lacks > 0 && o.Age > int64(most/time.Second)
		lines = append(lines, fmt.Sprintf("last %s: %s, %v ago; it lacks %d events", o.Copy, o.At.Format(time.RFC3339), time.Duration(o.Age)*time.Second, o.Lacks))
	}
	if err := say(cmd, struct {
		witness.Report
		Whole   bool            `json:"whole"`
		Outside []outsideReport `json:"outside,omitempty"`
	}{r, r.Whole(), outside}, lines...); err != nil {
		return err
	}
	if late || !r.Whole() {
		return errSilent
	}
	return nil
}

// outsideCopies says how far the copies outside the database go that the call names, and where an export differs from it.
func outsideCopies(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, points []witness.Checkpoint) (out []outsideReport, differs []*chain.Broken, err error) {
	heads, err := st.Heads(ctx)
	if err != nil {
		return nil, nil, err
	}
	add := func(what string, at time.Time, ends []chain.Head) {
		now := witness.Checkpoint{Heads: heads}
		out = append(out, outsideReport{what, at, int64(max(0, clock.System{}.Now().Sub(at)) / time.Second), now.Lost(ends)})
	}
	if n := len(points); n > 0 {
		add("checkpoint", points[n-1].At, witness.Covered(points))
	}
	if file := str(cmd, "audit"); file != "" {
		c, err := compared(ctx, st, file)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		var last time.Time
		for _, r := range c.Last {
			e, err := audit.Decode(r.Writer, r.Seq, r.Body)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", file, err)
			}
			if e.At.After(last) {
				last = e.At
			}
		}
		add("export", last, slices.Collect(maps.Values(c.Ends)))
		differs = c.Differs
	}
	return out, differs, nil
}

// compared compares every event of an export with the database.
func compared(ctx context.Context, st *sqlstore.Store, file string) (c witness.Compared, err error) {
	var l lostTime
	if l.epoch, err = st.Epoch(ctx); err == nil {
		err = l.readAccepted(ctx, st)
	}
	if err != nil {
		return c, err
	}
	return witness.Compare(ctx, st, file, l.Accepted, epochs.Tell)
}

// readCheckpoints reads the checkpoints if the call names their file; it then needs the issuer and the key-encryption key.
func readCheckpoints(cmd *cobra.Command, st *sqlstore.Store) ([]witness.Checkpoint, error) {
	file := str(cmd, "checkpoint-file")
	if file == "" {
		return nil, nil
	}
	issuer, err := readIssuer(cmd)
	if err != nil {
		return nil, err
	}
	k, err := checkpointKey(cmd, st, issuer)
	if err != nil {
		return nil, err
	}
	points, err := witness.ReadAll(file, k)
	if err == nil && len(points) == 0 {
		err = fmt.Errorf("%s: no checkpoint is there: the name is wrong, or a witness is gone", file)
	}
	return points, err
}

// checkpointKey opens the key of checkpoints.
func checkpointKey(cmd *cobra.Command, st *sqlstore.Store, issuer *url.URL) (*witness.Key, error) {
	ring, err := newRing(cmd, st)
	if err != nil {
		return nil, err
	}
	seed, err := ring.Secret("checkpoint")
	if err != nil {
		return nil, err
	}
	return witness.NewKey(issuer.Hostname(), seed)
}

func newAuditExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Append to a file outside the database what the record has and the file has not", Args: cobra.ExactArgs(1),
		Long: `Append every event that the file does not have yet, one line of JSON each, with its place in its chain.

The file is only ever appended to, and verified as it grows. After a restore, "idp restore --accept --audit FILE"
learns from it what was lost: keep it on another machine than the database. "idp serve --audit-export FILE"
does the same every second.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				n, err := (&witness.Exporter{Log: st, File: args[0]}).Once(ctx)
				if err != nil {
					return err
				}
				return say(cmd, map[string]any{"file": args[0], "added": n}, fmt.Sprintf("%d events added", n))
			})
		},
	}
	return cmd
}

func newAuditTail() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tail", Short: "Print the last events, and with --follow those to come", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := cmd.Flags().GetInt("lines")
			if err != nil || n < 0 || n > maxTail {
				return errUsage{fmt.Errorf("--lines: write a number from 0 to %d", maxTail)}
			}
			follow, err := cmd.Flags().GetBool("follow")
			if err != nil {
				return err
			}
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error { return tail(ctx, cmd, st, n, follow) })
		},
	}
	cmd.Flags().IntP("lines", "n", 20, "how many of the last events")
	cmd.Flags().BoolP("follow", "f", false, "go on until interrupted")
	return cmd
}

const (
	maxTail   = 100_000
	pollEvery = 500 * time.Millisecond
	// overlap is how far back each look reaches again: writers stamp an event before they commit it.
	overlap = 5 * time.Second
)

// tail prints events, each once.
func tail(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, n int, follow bool) error {
	since := clock.System{}.Now()
	list, err := st.LatestEvents(ctx, n)
	seen := map[string]time.Time{}
	for {
		if err != nil {
			return err
		}
		fresh := list[:0]
		for _, e := range list {
			id := fmt.Sprint(e.Writer, "/", e.Seq)
			if _, again := seen[id]; !again {
				fresh = append(fresh, e)
			}
			seen[id] = e.At
		}
		if err := printEvents(cmd, fresh); err != nil || !follow {
			return err
		}
		for id, at := range seen {
			if at.Before(since.Add(-2 * overlap)) {
				delete(seen, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
		from := since.Add(-overlap)
		since = clock.System{}.Now()
		list, err = st.EventsSince(ctx, from, maxTail)
		if errors.Is(err, context.Canceled) {
			return nil
		}
	}
}

// printEvents prints one event a line, as text or JSON.
func printEvents(cmd *cobra.Command, events []audit.Stored) error {
	w := cmd.OutOrStdout()
	if !asJSON(cmd) {
		return trace.Write(w, events)
	}
	enc := json.NewEncoder(w)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

func newAuditTrace() *cobra.Command {
	return &cobra.Command{
		Use:   "trace ID",
		Short: "Print everything that belongs to a jti, txn, sid, sub, e-mail address or client_id",
		Long: `Print everything that belongs to an identifier, in the order in which it happened.

A jti, a txn, a grant or a refresh family leads to the whole authorization: how the person signed in,
what they allowed, the code, the refresh family and every access token. A person (address, user name or
sub), a client_id or a session lists what carries that identifier.

"caseservice ledger trace" prints what an API did with the tokens: give it the same jti or the seen.txn.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				id := args[0]
				if p, err := people(st).Find(ctx, id); err == nil {
					id = p.ID
				} else if !errors.Is(err, account.ErrNotFound) {
					return err
				}
				t, err := trace.Of(ctx, st, id)
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return say(cmd, t)
				}
				if len(t.Events) == 0 {
					_, err := io.WriteString(cmd.ErrOrStderr(), "idp: nothing is recorded of "+args[0]+"\n")
					return errors.Join(err, errSilent)
				}
				return trace.Write(cmd.OutOrStdout(), t.Events)
			})
		},
	}
}
