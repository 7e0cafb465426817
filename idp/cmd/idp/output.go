package main

import (
	"encoding/json"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"
)

// say prints v as JSON where that was asked for, else the lines.
func say(cmd *cobra.Command, v any, lines ...string) error {
	w := cmd.OutOrStdout()
	if asJSON(cmd) {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

func asJSON(cmd *cobra.Command) bool {
	v, err := cmd.Flags().GetBool("json")
	return err == nil && v
}

// operator is who runs this command, for the audit.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return "operator:unknown"
	}
	return "operator:" + u.Username
}
