package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/store/sqlstore"
)

func newMigrateCommand() *cobra.Command {
	return group("migrate", "Show or change the schema of the database", newMigrateUpCommand(), newMigrateStatusCommand())
}

func newMigrateUpCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{Use: "up", Short: "Bring the schema up to date; a new database is made", Args: cobra.NoArgs}
	s.flags(cmd.Flags(), "database")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.checkDatabase(); err != nil {
			return err
		}
		before, after, err := sqlstore.Migrate(cmd.Context(), s.database)
		if err != nil {
			return err
		}
		return show(cmd, *asJSON, struct {
			Before int64 `json:"before"`
			sqlstore.SchemaStatus
		}{before.Current, after}, fmt.Sprintf("schema %d, was %d", after.Current, before.Current))
	}
	return cmd
}

func newMigrateStatusCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{Use: "status", Short: "Show the schema of the database and the newest that this release knows", Args: cobra.NoArgs}
	s.flags(cmd.Flags(), "database")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.checkDatabase(); err != nil {
			return err
		}
		st, err := sqlstore.Status(cmd.Context(), s.database)
		if err != nil {
			return err
		}
		return show(cmd, *asJSON, st, fmt.Sprintf("schema %d; this release knows %d", st.Current, st.Known))
	}
	return cmd
}
