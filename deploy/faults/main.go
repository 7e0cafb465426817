package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ellis.example/deploy/internal/launch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// command runs faults for a time. It returns 0, 1 at the first breach or failure, 2 for a call that cannot be understood.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("faults", flag.ContinueOnError)
	fs.SetOutput(stderr)
	minutes := fs.Float64("minutes", 1, "how long, for each store")
	seed := fs.Int("seed", 1, "decides which faults happen and when")
	model := fs.Bool("model", false, "break nothing, and hold what many clients see of the same codes, tokens and sessions against a model")
	store := fs.String("store", "all", "sqlite, postgres (with Redis behind sentinels), cluster (SQLite with a Redis Cluster), disk (SQLite where there is no room at times), full (PostgreSQL there) or all")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	stores := []string{sqlite, postgres, cluster, disk, full}
	if *model {
		stores = stores[:2]
	}
	switch {
	case slices.Contains(stores, *store):
		stores = []string{*store}
	case *store != "all":
		fmt.Fprintf(stderr, "faults: --store is sqlite, postgres, cluster, disk, full or all, not %q\n", *store)
		return 2
	}
	if fs.NArg() > 0 || *minutes <= 0 {
		fmt.Fprintln(stderr, "faults: it takes no arguments, and --minutes above zero")
		return 2
	}
	fmt.Fprintf(stdout, "seed %d, %v minutes a store\n", *seed, *minutes)
	for _, s := range stores {
		if err := play(ctx, s, *model, *seed, *minutes, stdout, stderr); err != nil {
			fmt.Fprintln(stderr, "faults:", err)
			return 1
		}
	}
	return 0
}

// play lets faults or races happen to one system. That on a disk which can be full runs as a process with mounts of its own.
func play(ctx context.Context, store string, model bool, seed int, minutes float64, stdout, stderr io.Writer) error {
	if (store != disk && store != full) || os.Getenv(ownMounts) != "" {
		return long(ctx, store, model, seed, time.Duration(minutes*float64(time.Minute)), stdout, stderr)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "--store", store, "--seed", strconv.Itoa(seed), "--minutes", strconv.FormatFloat(minutes, 'f', -1, 64)) //nolint:gosec // this program
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return withMounts(cmd)
}

var errBreach = errors.New("a rule was broken; the folder is kept")

// long lets faults happen to one system until the time is over or a rule is broken.
func long(ctx context.Context, store string, model bool, seed int, length time.Duration, stdout, stderr io.Writer) (err error) {
	root, err := launch.Root(".")
	if err != nil {
		return err
	}
	b, err := launch.Build(ctx, root, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ellis-faults-")
	if err != nil {
		return err
	}
	s, err := openSystem(ctx, b, store, dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		err = errors.Join(err, s.close())
		if !errors.Is(err, errBreach) {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	r, err := newRun(s, seed)
	if err != nil {
		return err
	}
	if model {
		_, err := r.driver.races(ctx, seed, time.Now().Add(length), stdout)
		return err
	}
	return r.until(ctx, time.Now().Add(length), stdout)
}

// until lets faults happen until a time, and prints a line for each.
func (r *run) until(ctx context.Context, end time.Time, stdout io.Writer) error {
	possible := of(r.sys.store, true)
	choice := dice(r.seed)
	answered := 0
	before, err := r.warm(ctx)
	if err != nil {
		return err
	}
	next := possible[choice.roll(len(possible))]
	for last := false; !last; {
		rep, err := r.round(ctx, next)
		if err != nil {
			return err
		}
		next = possible[choice.roll(len(possible))]
		if last = !time.Now().Before(end); last || r.restBefore(next) {
			more, err := r.sys.leaks(ctx, before)
			if err != nil {
				return err
			}
			rep.breaches = append(rep.breaches, more...)
		}
		answered += rep.answered
		fmt.Fprintf(stdout, "%-8s %4d  %-22s %6d answered %5d refused %4d unanswered, again after %s\n",
			r.sys.store, r.done, rep.fault, rep.answered, rep.refused, rep.unanswered, rep.recovered.Round(time.Millisecond))
		for _, b := range rep.breaches {
			fmt.Fprintln(stdout, "  BREACH", b)
		}
		if len(rep.breaches) > 0 {
			return fmt.Errorf("%w: %s", errBreach, r.sys.cfg.Dir)
		}
	}
	fmt.Fprintf(stdout, "%s: %d faults, %d answers, no breach\n", r.sys.store, r.done, answered)
	return nil
}
