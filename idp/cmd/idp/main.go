package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/fault"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78 // EX_CONFIG
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errUsage is a call that cannot be understood.
type errUsage struct{ error }

// errSilent ends a command that has said already what is wrong.
var errSilent = errors.New("failed")

// run carries out one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	started := false
	root := newRoot(&started)
	root.SetArgs(config.Operands(root, args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var wrong *config.Error
	var usage errUsage
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.As(err, &wrong):
		_, _ = fmt.Fprintln(stderr, "idp: configuration:", wrong)
		return exitConfig
	case !started || errors.As(err, &usage):
		_, _ = fmt.Fprintf(stderr, "idp: %v\nSee `%s --help`.\n", err, cmd.CommandPath())
		return exitUsage
	}
	_, _ = fmt.Fprintln(stderr, "idp:", explain(err))
	return exitFailed
}

// explain is an error as an operator reads it: a fault's message and, as nobody else sees it here, its cause.
func explain(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err.Error()
	}
	if f.Cause != nil {
		return f.Message + " (" + f.Cause.Error() + ")"
	}
	return f.Message
}

func newRoot(started *bool) *cobra.Command {
	root := &cobra.Command{
		Use: "idp", Short: "Ellis identity provider: OpenID Connect, accounts, audit",
		Long: `idp serves an OpenID Connect provider and manages it.

Every setting is a flag. What the command line does not say comes from the environment
(IDP_DATABASE for --database), then from the YAML file that --config names.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			*started = true
			return config.Load(cmd.Flags(), envPrefix)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	f := root.PersistentFlags()
	f.String(config.FileFlag, "", "YAML file with settings")
	f.Bool("json", false, "print JSON")
	f.String("log-level", "info", "debug, info, warn or error")
	f.String("log-format", "json", "json or text")
	root.AddCommand(
		newServe(), newMigrate(), newApply(), newClient(), newAPI(), newUser(), newKeys(), newAudit(), newBackup(), newRestore(), newConfig(), newHealthcheck(), newVersion(), newReference(),
	)
	for _, c := range root.Commands() {
		group(c)
	}
	return root
}

// group makes a command that only holds others refuse to be called by itself.
func group(cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		return
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return errUsage{fmt.Errorf("unknown command %q of %s: choose %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))}
		}
		return errUsage{fmt.Errorf("%s: choose %s", cmd.CommandPath(), strings.Join(names, ", "))}
	}
}
