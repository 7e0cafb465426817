package main

import (
	"encoding/json"
	"fmt"
	"os/user"
	"strconv"

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
