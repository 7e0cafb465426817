package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
)

func newLedgerCommand() *cobra.Command {
	return group("ledger", "Read and verify who looked at what", newLedgerTraceCommand(), newLedgerVerifyCommand(), newLedgerTailCommand())
}

// withLedger opens the ledger of a database that exists.
func (s *settings) withLedger(ctx context.Context, do func(ledger.Reader) error) error {
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
		return s.withLedger(cmd.Context(), func(r ledger.Reader) error {
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
			"moved is named, and the exit status is 1.",
	}
	s.flags(cmd.Flags(), "database")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return s.withLedger(cmd.Context(), func(r ledger.Reader) error {
			rep, err := r.Verify(cmd.Context())
			if err != nil {
				return err
			}
			out := struct {
				Whole   bool      `json:"whole"`
				Writers int       `json:"writers"`
				Records int64     `json:"records"`
				Broken  *brokenAt `json:"broken,omitempty"`
			}{Whole: rep.Broken == nil, Writers: rep.Writers, Records: rep.Records}
			if rep.Broken != nil {
				out.Broken = &brokenAt{rep.Broken.Writer, rep.Broken.Seq, rep.Broken.Why}
			}
			if *asJSON || out.Whole {
				text := fmt.Sprintf("the ledger is whole: %s of %s", plural(out.Records, "record"), plural(int64(out.Writers), "writer"))
				err = show(cmd, *asJSON, out, text)
			}
			if rep.Broken != nil {
				return errors.Join(rep.Broken, err)
			}
			return err
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
		return s.withLedger(cmd.Context(), func(r ledger.Reader) error { return tail(cmd, r, *n, *follow, *asJSON) })
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
