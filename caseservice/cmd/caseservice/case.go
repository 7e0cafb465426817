package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
)

func newCaseCommand() *cobra.Command {
	return group("case", "Import cases and give them to people", newCaseImportCommand(), newCaseAssignCommand(), newCaseCodeCommand())
}

func newCaseImportCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import cases from a file of JSON lines (- is standard input)", Args: cobra.ExactArgs(1),
		Long: "Import cases, one JSON object a line. When a line is wrong, nothing is imported.\n\n" +
			codesAreShownOnce + " Should the command end on the way, import the lines that are left. " +
			"`caseservice case code RECEIPT` tells whether the last case that was printed is there, and gives it a new code if it is.",
		Example: "  caseservice case import cases.jsonl --database sqlite:cases.db --code-key-file code.key --json",
	}
	s.flags(cmd.Flags(), "database", codeKey+"-file")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.checkDatabase(); err != nil {
			return err
		}
		lines, err := readImport(cmd, args[0])
		if err != nil {
			return err
		}
		return s.importCases(cmd.Context(), cmd.Flags(), lines, &notices{out: cmd.OutOrStdout(), json: *asJSON})
	}
	return cmd
}

// importLine is one case of the file.
type importLine struct {
	where     string // FILE:LINE
	create    cases.Create
	claimable bool
}

const maxImportLine = 1 << 20

// maxWrong is how many wrong lines are named at once.
const maxWrong = 20

// readImport reads the whole file before anything is written, and names every line that is wrong.
func readImport(cmd *cobra.Command, name string) (out []importLine, err error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	now := clock.System{}.Now()
	var wrong []error
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxImportLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		where := fmt.Sprintf("%s:%d", name, n)
		create, claimable, err := cases.ParseImportLine(text, now)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", where, err))
		}
		out = append(out, importLine{where, create, claimable})
	}
	if err := lines.Err(); err != nil {
		wrong = append(wrong, fmt.Errorf("%s: after %s: %w", name, plural(int64(len(out)), "case"), err))
	}
	if more := len(wrong) - maxWrong; more > 0 {
		wrong = append(wrong[:maxWrong], fmt.Errorf("%s: and %d more", name, more))
	}
	return out, errors.Join(wrong...)
}

// importCases prints and commits each case with its entry.
func (s *settings) importCases(ctx context.Context, fs *pflag.FlagSet, lines []importLine, out *notices) (err error) {
	codes, err := makeCodes(fs, lines)
	if err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := refuseTaken(ctx, store, lines); err != nil {
		return err
	}
	for i, l := range lines {
		entry, c := operation(epoch.ActImport), l.create.Case
		entry.Case = c.ID
		err := out.commit(imported{c.ID, string(c.Receipt), c.Form, codes[i]}, func() error {
			err := store.Commit(ctx, unit.Unit{Writes: []unit.Write{l.create}, Event: entry})
			if unit.IsConflict(err) {
				err = errTaken
			}
			return err
		})
		if err != nil {
			return errors.Join(stopped(l.where, err, i, len(lines)), out.close())
		}
	}
	return out.close()
}

var errTaken = errors.New("there is a case with this receipt number already")

// refuseTaken finds receipt numbers that are taken, before anything is written.
func refuseTaken(ctx context.Context, store cases.Reader, lines []importLine) error {
	inFile := map[paper.Receipt]bool{}
	for _, l := range lines {
		r := l.create.Case.Receipt
		_, taken, err := store.FileByReceipt(ctx, "", r)
		if err == nil && (taken || inFile[r]) {
			err = errTaken
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.where, err)
		}
		inFile[r] = true
	}
	return nil
}

// makeCodes gives each claimable case a code and returns the codes as notices print them, "" for the others.
func makeCodes(fs *pflag.FlagSet, lines []importLine) (codes []string, err error) {
	var key []byte
	codes = make([]string, len(lines))
	for i := range lines {
		if !lines[i].claimable {
			continue
		}
		if key == nil {
			if key, err = config.Key(fs, prefix, codeKey); err != nil {
				return nil, err
			}
		}
		code, c := paper.NewClaimCode(), &lines[i].create
		c.CodeMAC, c.CodeExpires = paper.CodeMAC(key, c.Case.Receipt, code), clock.System{}.Now().Add(cases.CodeLife)
		codes[i] = code.Grouped()
	}
	return codes, nil
}

func newCaseAssignCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "assign RECEIPT|CASE --sub SUBJECT", Short: "Make a person the owner of a case that has none", Args: cobra.ExactArgs(1),
		Long: "Make a person the owner of a case that has none.\n\n" +
			"SUBJECT is the person's pairwise subject for this API: `idp user show EMAIL --api ID` prints it.",
	}
	s.flags(cmd.Flags(), "database")
	sub := cmd.Flags().String("sub", "", "subject of the person, as the issuer names them to this API")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := s.checkDatabase(); err != nil {
			return err
		}
		if !validSubject(*sub) {
			return &config.Error{Where: "--sub", Problem: "1 to 255 visible characters, as `idp user show --api` prints them"}
		}
		f, err := s.assign(cmd.Context(), args[0], *sub)
		if err != nil {
			return err
		}
		return show(cmd, *asJSON, struct {
			ID      string        `json:"id"`
			Receipt paper.Receipt `json:"receipt"`
			Sub     string        `json:"sub"`
		}{f.ID, f.Receipt, *sub}, fmt.Sprintf("%s (%s) belongs to %s now", f.Receipt, f.ID, *sub))
	}
	return cmd
}

func validSubject(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

// assign binds a case to a subject; it and its refusals stand in the ledger.
func (s *settings) assign(ctx context.Context, name, sub string) (f cases.File, err error) {
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command", Existing: true})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	f, ok, err := find(ctx, store, name)
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	entry := operation(epoch.ActAssign)
	entry.Sub, entry.Case = sub, f.ID
	refuse := func(reason, why string) error {
		entry.Outcome, entry.Reason = ledger.Refused, reason
		return errors.Join(errors.New(why), store.Commit(ctx, unit.Unit{Event: entry}))
	}
	if !ok {
		return f, refuse(string(cases.MissingCase), "there is no such case")
	}
	err = store.Commit(ctx, unit.Unit{Event: entry, Writes: []unit.Write{
		cases.Assign{CaseID: f.ID, Sub: sub, At: clock.System{}.Now(), Event: ident.New("evt")},
	}})
	if unit.IsConflict(err) {
		return f, refuse("has_owner", "the case has an owner already")
	}
	return f, err
}
