package main

import (
	"encoding/json"
	"fmt"
	"os/user"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/ledger"
)

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print one JSON object")
}

// show prints v as JSON, or the text.
func show(cmd *cobra.Command, asJSON bool, v any, text string) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// table prints rows in aligned columns.
func table(cmd *cobra.Command, rows [][]string) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				_, _ = w.Write([]byte{'\t'}) // Flush reports what went wrong
			}
			_, _ = w.Write([]byte(cell))
		}
		_, _ = w.Write([]byte{'\n'})
	}
	return w.Flush()
}

// operation is the entry of a command: its actor is whoever runs it.
func operation(act string) ledger.Entry {
	actor := "unknown"
	if u, err := user.Current(); err == nil {
		actor = u.Username
	}
	return ledger.Entry{Act: act, Outcome: ledger.Allowed, Actor: "operator:" + actor, Purpose: ledger.Operation}
}

// plural counts things.
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + one + "s"
}
