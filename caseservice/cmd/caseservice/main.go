package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/config"
)

// prefix begins the name of every environment variable.
const prefix = "CASESERVICE"

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78 // EX_CONFIG
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:gocritic // stop has run
}

// run runs one command and returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	began := false
	root := newRootCommand(func() { began = true })
	root.SetArgs(config.Operands(root, args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(errOut, "caseservice:", err)
	var wrong *config.Error
	switch {
	case errors.As(err, &wrong):
		return exitConfig
	case !began, errors.Is(err, errUsage):
		_, _ = fmt.Fprintln(errOut, "Try --help.")
		return exitUsage
	}
	return exitFailed
}

// errUsage is the error of a command line that names nothing to do.
var errUsage = errors.New("a subcommand is missing or unknown")

// newRootCommand returns the command tree. began is called when a command line was understood.
func newRootCommand(began func()) *cobra.Command {
	root := &cobra.Command{
		Use: "caseservice", Short: "The status of immigration cases: API, portal and operator's commands",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			began()
			return config.Load(cmd.Flags(), prefix)
		},
	}
	root.PersistentFlags().String(config.FileFlag, "", "YAML file with settings (name: value)")
	root.AddCommand(
		newServeCommand(),
		newPortalCommand(),
		newMigrateCommand(),
		newCaseCommand(),
		newLedgerCommand(),
		newBackupCommand(),
		newRestoreCommand(),
		newConfigCommand(),
		newHealthcheckCommand(),
		newVersionCommand(),
		newReferenceCommand(),
	)
	return root
}

// group returns a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%w: %s takes one of its own, see --help", errUsage, cmd.CommandPath())
		}
		return fmt.Errorf("%w: %s %q", errUsage, cmd.CommandPath(), args[0])
	}}
	g.AddCommand(commands...)
	return g
}
