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

func newCaseCodeCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "code [RECEIPT|CASE]...", Short: "Make new claim codes for cases that have no owner", Args: cobra.ArbitraryArgs,
		Long: "Make a new claim code for each case that is named and has no owner. The one before ends.\n\n" +
			"With --ended: for every case without an owner whose code ended unused, as all do that nobody can vouch for after a restore.\n" +
			"Codes are printed once and kept as MACs only: print the notices from this output.",
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
		done, err := s.newCodes(cmd.Context(), key, args)
		return errors.Join(printImported(cmd, *asJSON, done), err)
	}
	return cmd
}

// newCodes commits each code with its entry. It returns what was made, also when it fails on the way: those codes are shown
// nowhere else. Without names it finds the cases itself.
func (s *settings) newCodes(ctx context.Context, key []byte, names []string) (done []imported, err error) {
	done = []imported{}
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command", Existing: true})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if len(names) == 0 {
		if names, err = store.Ended(ctx, clock.System{}.Now()); err != nil {
			return done, err
		}
	}
	for _, name := range names {
		f, ok, err := find(ctx, store, name)
		if err == nil && !ok {
			err = errors.New("there is no such case")
		}
		if err != nil {
			return done, fmt.Errorf("%s: %w (those before it have new codes)", name, err)
		}
		code := paper.NewClaimCode()
		entry := operation(epoch.ActCode)
		entry.Case = f.ID
		err = store.Commit(ctx, unit.Unit{Event: entry, Writes: []unit.Write{
			cases.Reissue{CaseID: f.ID, CodeMAC: paper.CodeMAC(key, f.Receipt, code), CodeExpires: clock.System{}.Now().Add(cases.CodeLife)},
		}})
		if unit.IsConflict(err) {
			err = errors.New("the case has an owner")
		}
		if err != nil {
			return done, fmt.Errorf("%s: %w (those before it have new codes)", name, err)
		}
		done = append(done, imported{f.ID, string(f.Receipt), f.Form, code.Grouped()})
	}
	return done, nil
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
