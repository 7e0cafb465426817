package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/store/redisstore/redisdb"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the settings of serve, or show what they come to"}
	check := &cobra.Command{
		Use: "check", Short: "Exit 0 when serve would accept its settings, 78 when not", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := readSettings(cmd); err != nil {
				return err
			}
			return say(cmd, map[string]string{"status": "good"}, "the settings are good")
		},
	}
	show := &cobra.Command{
		Use: "show", Short: "Print every setting with its variable and its value; secrets are files, whose names alone are shown", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, lines := map[string]string{}, []string{}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Name == "help" || f.Name == "json" {
					return
				}
				v := f.Value.String()
				switch f.Name {
				case "smtp-url", "database":
					v = config.WithoutPassword(v)
				case "redis":
					v = redisdb.Redacted(v)
				}
				values[f.Name] = v
				lines = append(lines, fmt.Sprintf("%-18s %-24s %s", f.Name, config.EnvName(envPrefix, f.Name), v))
			})
			return say(cmd, values, lines...)
		},
	}
	serveFlags(check.Flags())
	serveFlags(show.Flags())
	cmd.AddCommand(check, show)
	return cmd
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print what this program was built from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"version": "unknown", "go": "", "revision": ""}
			if b, ok := debug.ReadBuildInfo(); ok {
				v["version"], v["go"] = b.Main.Version, b.GoVersion
				for _, s := range b.Settings {
					if s.Key == "vcs.revision" {
						v["revision"] = s.Value
					}
				}
			}
			return say(cmd, v, fmt.Sprintf("idp %s %s %s", v["version"], v["revision"], v["go"]))
		},
	}
}
