package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/witness"
)

func newLedgerCommand() *cobra.Command {
	return group("ledger", "Read and verify who looked at what", newLedgerTraceCommand(), newLedgerVerifyCommand(), newLedgerTailCommand(), newLedgerExportCommand(), newLedgerBeginCommand())
}

// withLedger opens the ledger of a database that exists.
func (s *settings) withLedger(ctx context.Context, do func(*sqlstore.Store) error) error {
	if err := s.checkDatabase(); err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command", Existing: true})
	if err != nil {
		return err
	}
	return errors.Join(do(store), store.Close())
}

func newLedgerTraceCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "trace TXN|JTI", Short: "Show what was done with one authorization or one access token", Args: cobra.ExactArgs(1),
		Long: "Show what was done here with one authorization (the txn of its tokens) or with one access token (its jti):\n" +
			"the other half of what `idp audit trace` shows for the same identifier.",
	}
	s.flags(cmd.Flags(), "database")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.withLedger(cmd.Context(), func(r *sqlstore.Store) error {
			entries, err := r.Trace(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if *asJSON {
				return show(cmd, true, struct {
					ID      string          `json:"id"`
					Entries []ledger.Stored `json:"entries"`
				}{args[0], append([]ledger.Stored{}, entries...)}, "")
			}
			if len(entries) == 0 {
				_, err := fmt.Fprintln(cmd.ErrOrStderr(), "no entry carries this txn or jti")
				return err
			}
			return printLines(cmd, entries)
		})
	}
	return cmd
}

func printLines(cmd *cobra.Command, entries []ledger.Stored) error {
	for _, e := range entries {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), e.Line()); err != nil {
			return err
		}
	}
	return nil
}

// brokenAt is where a chain is broken.
type brokenAt struct {
	Writer string `json:"writer"`
	Seq    int64  `json:"seq"`
	Why    string `json:"why"`
}

func newLedgerVerifyCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "verify", Short: "Follow every chain of the ledger and name the first bad record", Args: cobra.NoArgs,
		Long: "Follow every chain of the ledger from its first record to its head. A record that was changed, removed, inserted or\n" +
			"moved is named, and the exit status is 1. With --checkpoint-file, which needs the key of claim codes, also whatever was\n" +
			"signed outside the database is compared, and restores are named. With --ledger every entry of an export is compared.",
	}
	s.flags(cmd.Flags(), "database", "checkpoint-file", codeKey+"-file")
	export := cmd.Flags().String("ledger", "", "file that `caseservice serve --ledger-export` or `ledger export` wrote")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withLedger(cmd.Context(), func(r *sqlstore.Store) error {
			points, err := s.readCheckpoints(cmd.Flags())
			if err != nil {
				return err
			}
			rep, err := r.Verify(cmd.Context(), points...)
			if err == nil && rep.Broken == nil && *export != "" {
				rep.Broken, err = compared(cmd.Context(), r, *export)
			}
			if err != nil {
				return err
			}
			return printReport(cmd, *asJSON, rep)
		})
	}
	return cmd
}

// compared compares every entry of an export with the ledger, and returns the first that differs, or nil.
func compared(ctx context.Context, r *sqlstore.Store, file string) (*chain.Broken, error) {
	var l lostTime
	var err error
	if l.epoch, err = r.Epoch(ctx); err == nil {
		err = l.readAccepted(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	c, err := witness.Compare(ctx, r, file, l.Accepted, epoch.Tell)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(c.Differs) == 0 {
		return nil, nil
	}
	return c.Differs[0], nil
}

// readCheckpoints reads the checkpoints where their file is named. Errors: *config.Error.
func (s *settings) readCheckpoints(fs *pflag.FlagSet) ([]witness.Checkpoint, error) {
	if s.checkpoints == "" {
		return nil, nil
	}
	code, err := config.Key(fs, prefix, codeKey)
	if err != nil {
		return nil, err
	}
	key, err := ledger.NewKey(code)
	if err != nil {
		return nil, err
	}
	points, err := witness.ReadAll(s.checkpoints, key)
	if err == nil && len(points) == 0 {
		return nil, &config.Error{Where: "--checkpoint-file", Problem: s.checkpoints + " holds no checkpoint"}
	}
	return points, err
}

// printReport prints what a verification found. Errors: *chain.Broken.
func printReport(cmd *cobra.Command, asJSON bool, rep ledger.Report) (err error) {
	out := struct {
		Whole       bool              `json:"whole"`
		Writers     int               `json:"writers"`
		Records     int64             `json:"records"`
		Checkpoints int               `json:"checkpoints"`
		Restores    []witness.Restore `json:"restores,omitempty"`
		Broken      *brokenAt         `json:"broken,omitempty"`
	}{rep.Broken == nil, rep.Writers, rep.Records, rep.Checkpoints, rep.Restores, nil}
	if rep.Broken != nil {
		out.Broken = &brokenAt{rep.Broken.Writer, rep.Broken.Seq, rep.Broken.Why}
	}
	if asJSON || out.Whole {
		text := fmt.Sprintf("the ledger is whole: %s of %s, %s", plural(out.Records, "record"), plural(int64(out.Writers), "writer"), plural(int64(out.Checkpoints), "checkpoint"))
		for _, r := range out.Restores {
			text += fmt.Sprintf("\nrestored: epoch %d, accepted %s, at least %s lost", r.Epoch, r.At.Format(time.RFC3339), plural(r.Lost, "record"))
		}
		err = show(cmd, asJSON, out, text)
	}
	if rep.Broken != nil {
		return errors.Join(rep.Broken, err)
	}
	return err
}

func newLedgerExportCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Append to a file outside the database what the ledger has and the file has not", Args: cobra.ExactArgs(1),
		Long: "Append every entry that the file does not have yet, one line of JSON each, with its place in its chain.\n\n" +
			"The file is only ever appended to, and verified as it grows. After a restore, `caseservice restore --accept --ledger FILE`\n" +
			"learns from it what was lost: keep it on another machine than the database. `caseservice serve --ledger-export FILE` does\n" +
			"the same every second.",
	}
	s.flags(cmd.Flags(), "database")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.withLedger(cmd.Context(), func(r *sqlstore.Store) error {
			n, err := (&witness.Exporter{Log: r, File: args[0]}).Once(cmd.Context())
			if err != nil {
				return err
			}
			return show(cmd, *asJSON, struct {
				File  string `json:"file"`
				Added int64  `json:"added"`
			}{args[0], n}, fmt.Sprintf("%s added", plural(n, "record")))
		})
	}
	return cmd
}

const (
	followEvery = time.Second
	followMost  = 10_000
)

func newLedgerTailCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the last entries of the ledger", Args: cobra.NoArgs,
		Long: "Show the last entries of the ledger, oldest first. With --json: one JSON object a line.",
	}
	s.flags(cmd.Flags(), "database")
	n := cmd.Flags().IntP("lines", "n", 20, "how many")
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with what comes, until interrupted")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *n < 0 {
			return fmt.Errorf("%w: --lines has to be 0 or more", errUsage)
		}
		return s.withLedger(cmd.Context(), func(r *sqlstore.Store) error { return tail(cmd, r, *n, *follow, *asJSON) })
	}
	return cmd
}

// tail prints the last n entries and, when asked to, those that come.
func tail(cmd *cobra.Command, r ledger.Reader, n int, follow, asJSON bool) error {
	seen := map[string]int64{}
	ctx := cmd.Context()
	for first := true; ; first = false {
		most := followMost
		if first {
			most = n
		}
		entries, err := r.Tail(ctx, seen, most)
		if err != nil {
			return err
		}
		for _, e := range entries {
			seen[e.Writer] = max(seen[e.Writer], e.Seq)
		}
		if err := printEntries(cmd, entries, asJSON); err != nil || !follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

func printEntries(cmd *cobra.Command, entries []ledger.Stored, asJSON bool) error {
	if !asJSON {
		return printLines(cmd, entries)
	}
	e := json.NewEncoder(cmd.OutOrStdout())
	for _, entry := range entries {
		if err := e.Encode(entry); err != nil {
			return err
		}
	}
	return nil
}
