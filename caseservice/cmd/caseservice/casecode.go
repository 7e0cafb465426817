package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
)

// codesAreShownOnce is said by every command that makes codes.
const codesAreShownOnce = "Codes are kept as MACs only and printed once, each before it counts: print the notices from this output. " +
	"A line that does not end, or ends with \"unconfirmed\", may hold a code that does not count."

func newCaseCodeCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "code [RECEIPT|CASE]...", Short: "Make new claim codes for cases that have no owner", Args: cobra.ArbitraryArgs,
		Long: "Make a new claim code for each case that is named and has no owner. The one before ends.\n\n" +
			"With --ended: for every case without an owner whose code ended unused, as all do that nobody can vouch for after a restore.\n" +
			codesAreShownOnce + " Should the command end on the way, run it again for the case of the last line and those that are left " +
			"(with --ended it finds them itself): of two codes for one case the later one counts.",
	}
	s.flags(cmd.Flags(), "database", codeKey+"-file")
	ended := cmd.Flags().Bool("ended", false, "every case without an owner whose code ended unused")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.checkDatabase(); err != nil {
			return err
		}
		if *ended == (len(args) > 0) {
			return fmt.Errorf("%w: name cases, or --ended", errUsage)
		}
		key, err := config.Key(cmd.Flags(), prefix, codeKey)
		if err != nil {
			return err
		}
		return s.newCodes(cmd.Context(), key, args, &notices{out: cmd.OutOrStdout(), json: *asJSON})
	}
	return cmd
}

// newCodes prints and commits each code with its entry. Without names it finds the cases itself. Nothing is done when one of them is
// not there.
func (s *settings) newCodes(ctx context.Context, key []byte, names []string, out *notices) (err error) {
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command", Existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if len(names) == 0 {
		if names, err = store.Ended(ctx, clock.System{}.Now()); err != nil {
			return err
		}
	}
	files := make([]cases.File, len(names))
	for i, name := range names {
		f, ok, err := find(ctx, store, name)
		if err == nil && !ok {
			err = errors.New("there is no such case")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files[i] = f
	}
	for i, f := range files {
		if err := newCode(ctx, store, key, f, out); err != nil {
			return errors.Join(stopped(string(f.Receipt), err, i, len(files)), out.close())
		}
	}
	return out.close()
}

// newCode gives one case a new code.
func newCode(ctx context.Context, store *sqlstore.Store, key []byte, f cases.File, out *notices) error {
	code, entry := paper.NewClaimCode(), operation(epoch.ActCode)
	entry.Case = f.ID
	return out.commit(imported{f.ID, string(f.Receipt), f.Form, code.Grouped()}, func() error {
		err := store.Commit(ctx, unit.Unit{Event: entry, Writes: []unit.Write{
			cases.Reissue{CaseID: f.ID, CodeMAC: paper.CodeMAC(key, f.Receipt, code), CodeExpires: clock.System{}.Now().Add(cases.CodeLife)},
		}})
		if unit.IsConflict(err) {
			err = errors.New("the case has an owner")
		}
		return err
	})
}

// find reads a case by its receipt number or its identifier.
func find(ctx context.Context, store cases.Reader, name string) (cases.File, bool, error) {
	if receipt, err := paper.ParseReceipt(name); err == nil {
		return store.FileByReceipt(ctx, "", receipt)
	}
	if !ident.Valid("cas", name) {
		return cases.File{}, false, errors.New("it is neither a receipt number nor the identifier of a case")
	}
	return store.File(ctx, "", name)
}
