package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/config"
)

func newConfigCommand() *cobra.Command {
	return group("config", "Look at the settings of serve", newConfigCheckCommand(), newConfigShowCommand())
}

func newConfigCheckCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{Use: "check", Short: "Say whether serve would take these settings", Args: cobra.NoArgs}
	s.flags(cmd.Flags(), serveSettings...)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.check(); err != nil {
			return err
		}
		if _, err := config.Key(cmd.Flags(), prefix, codeKey); err != nil {
			return err
		}
		if _, err := config.Secret(cmd.Flags(), prefix, clientSecret); err != nil {
			return err
		}
		return show(cmd, *asJSON, map[string]bool{"ok": true}, "the settings are good")
	}
	return cmd
}

func newConfigShowCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "show", Short: "Print the settings as serve would see them", Args: cobra.NoArgs,
		Long: "Print the settings as serve would see them, as YAML that --config takes. Secrets are named by their files only.",
	}
	s.flags(cmd.Flags(), serveSettings...)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		values, lines := map[string]string{}, []string{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if slices.Contains(serveSettings, f.Name) {
				values[f.Name] = f.Value.String()
				if f.Name == "database" {
					values[f.Name] = config.WithoutPassword(values[f.Name])
				}
				lines = append(lines, fmt.Sprintf("%s: %s", f.Name, strconv.Quote(values[f.Name])))
			}
		})
		return show(cmd, *asJSON, values, strings.Join(lines, "\n"))
	}
	return cmd
}
