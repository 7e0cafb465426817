package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"ellis.example/deploy/internal/launch"
)

func main() {
	if status, is := yardstickCommand(os.Args); is {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The stores.
var stores = []string{"sqlite", "postgres"}

// bench is one run.
type bench struct {
	json       bool
	stores     []string
	only       []string // names of operations; empty: all
	workers    int
	rounds     int
	length     time.Duration // of a round
	fsyncDelay time.Duration
	before     *report
	rows       int    // of each kind, that are there before
	bin        string // folder with the binaries; empty: they are built

	stderr   io.Writer
	dir      string
	binaries launch.Binaries
	cores    cores
	redis    bool // the provider can use one
}

// errUsage is a call that cannot be understood.
var errUsage = errors.New("usage")

// run is the whole command; it returns the exit status: 1 when something failed or an answer was wrong, 2 for a call that
// cannot be understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{stderr: stderr}
	switch err := b.parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case err != nil:
		b.say("%v", err)
		return 1
	}
	r, err := b.run(ctx)
	if err != nil {
		b.say("%v", err)
		return 1
	}
	if b.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.table(stdout, b.before)
	}
	if err != nil {
		b.say("%v", err)
		return 1
	}
	if n := r.errors(); n > 0 {
		b.say("%d answers were wrong", n)
		return 1
	}
	return 0
}

func (b *bench) parse(args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(b.stderr)
	quick := fs.Bool("quick", false, "one round of a second: for a first look, and to see that everything works")
	fs.BoolVar(&b.json, "json", false, "print JSON")
	store := fs.String("store", "both", "sqlite, postgres or both")
	only := fs.String("only", "", "names of operations, separated by commas")
	seconds := fs.Float64("seconds", 4, "length of a round")
	fs.IntVar(&b.workers, "workers", 16, "how many requests are under way at a time")
	compare := fs.String("compare", "", "file with the JSON of an earlier run, to print ratios to")
	fs.DurationVar(&b.fsyncDelay, "fsync-delay", 0, "PostgreSQL only: time added to each flush, as a slower disk would; at most 100ms")
	fs.IntVar(&b.rows, "rows", 0, "accounts, refresh families and cases that are there before anything is measured, with ten times as many audit events")
	fs.StringVar(&b.bin, "bin", "", "folder with idp and caseservice to measure in place of this checkout's")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	b.rounds, b.length = 3, time.Duration(*seconds*float64(time.Second))
	if *quick {
		b.rounds, b.length = 1, time.Second
	}
	wrong := func(text string) error { b.say("%s", text); return errUsage }
	switch {
	case fs.NArg() > 0:
		return wrong("it takes no arguments")
	case *store == "both":
		b.stores = stores
	case slices.Contains(stores, *store):
		b.stores = []string{*store}
	default:
		return wrong("--store: choose sqlite, postgres or both")
	}
	if b.rows < 0 {
		return wrong("--rows is not below zero")
	}
	if b.workers < 1 || b.length <= 0 || b.fsyncDelay < 0 || b.fsyncDelay > 100*time.Millisecond {
		return wrong("--workers and --seconds are above zero, --fsync-delay is from 0 to 100ms")
	}
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	for _, name := range b.only {
		if !slices.ContainsFunc(operations(), func(o operation) bool { return o.name == name }) {
			return wrong("--only: there is no operation " + name)
		}
	}
	if *compare == "" {
		return nil
	}
	var err error
	b.before, err = readReport(*compare)
	return err
}

// say tells how far it is, and what is wrong.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, "bench: "+format+"\n", args...)
}

func (b *bench) run(ctx context.Context) (r *report, err error) {
	if b.dir, err = os.MkdirTemp("", "ellis-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.findBinaries(ctx); err != nil {
		return nil, err
	}
	if b.cores, err = pin(); err != nil {
		return nil, err
	}
	b.redis = mentions(ctx, b.binaries.IDP, "--redis ")
	r = &report{Where: b.cores.String(), FsyncDelay: float64(b.fsyncDelay.Microseconds()) / 1e3}
	b.say("yardsticks")
	if r.Yardsticks, err = b.measureYardsticks(ctx); err != nil {
		return nil, err
	}
	for _, store := range b.stores {
		if err := b.measureStore(ctx, r, store); err != nil {
			return nil, fmt.Errorf("%s: %w", store, err)
		}
	}
	first := r.Stores[0]
	r.StartupMS, r.IdleMB, r.LoadMB = first.StartupMS, first.IdleMB, first.LoadMB
	return r, ctx.Err()
}

// findBinaries builds what is measured, unless it was named.
func (b *bench) findBinaries(ctx context.Context) error {
	if b.bin != "" {
		b.binaries = launch.At(b.bin)
		return nil
	}
	root, err := launch.Root(".")
	if err != nil {
		return err
	}
	b.say("building")
	b.binaries, err = launch.Build(ctx, root, b.stderr)
	return err
}

// measureStore measures the operations over one store.
func (b *bench) measureStore(ctx context.Context, r *report, store string) error {
	cases := store == "sqlite" || mentions(ctx, b.binaries.CaseService, "postgres")
	if !cases {
		b.say("%s: the case service does not know this store; its operations are left out", store)
	}
	todo := slices.DeleteFunc(operations(), func(o operation) bool {
		return b.only != nil && !slices.Contains(b.only, o.name) || o.service == launch.CaseService && !cases
	})
	s, err := b.openStack(ctx, store, slices.ContainsFunc(todo, func(o operation) bool { return o.service == launch.CaseService }))
	if err != nil {
		return err
	}
	defer s.close()
	for _, o := range todo {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.say("%s: %s", store, o.name)
		one, err := b.measure(ctx, s, o)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		r.Operations = append(r.Operations, one)
	}
	volatile := "memory"
	if s.redis != nil {
		volatile = "redis"
	}
	r.Stores = append(r.Stores, storeResult{
		Store: store, Volatile: volatile, StartupMS: float64(s.startup.Microseconds()) / 1e3,
		IdleMB: megabytes(s.idle), LoadMB: megabytes(launch.Resident(s.idp.Pid, true)),
	})
	return nil
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

// measure measures one operation: the median of its rounds.
func (b *bench) measure(ctx context.Context, s *stack, o operation) (result, error) {
	if o.prepare != nil {
		if err := o.prepare(ctx, s); err != nil {
			return result{}, err
		}
	}
	var feed func(time.Duration) error
	if o.feed != nil {
		feed = func(length time.Duration) error {
			if err := o.feed(ctx, s, length); err != nil {
				return err
			}
			s.settle(ctx, o.service)
			return nil
		}
	}
	workers := make([]worker, b.workers)
	for i := range workers {
		var err error
		if workers[i], err = o.make(s, i); err != nil {
			return result{}, err
		}
		defer workers[i].close() //nolint:revive // all of them are in use until the end
	}
	s.settle(ctx, o.service)
	length := b.length
	if o.rounds != 0 {
		length = time.Duration(o.rounds * float64(length))
	}
	var hash func() (float64, error)
	if o.hashes {
		hash = func() (float64, error) { return b.bareHash(ctx, length/4) }
	}
	rounds, err := b.measureRounds(ctx, workers, length, s.measure(o.service), feed, hash)
	if err != nil {
		return result{}, err
	}
	return summary(o, s.store, b.workers, rounds), nil
}

// measureRounds warms up for a quarter of a round, then takes the rounds. hash, if there is one, is asked before each: the same
// core, and what else this machine does, decide over both.
func (b *bench) measureRounds(ctx context.Context, workers []worker, length time.Duration, measure func() usage, feed func(time.Duration) error, hash func() (float64, error)) (out []round, err error) {
	for i := range b.rounds + 1 {
		d := length
		if i == 0 {
			d /= 4
		}
		if feed != nil {
			if err := feed(d); err != nil {
				return nil, err
			}
		}
		var bare float64
		if hash != nil {
			if bare, err = hash(); err != nil {
				return nil, err
			}
		}
		r := drive(ctx, workers, d, measure)
		r.hash = bare
		if i > 0 || r.failed > 0 {
			out = append(out, r)
		}
	}
	return out, nil
}

func summary(o operation, store string, workers int, rounds []round) result {
	out := result{
		Name: o.name, Store: store, Workers: workers, Target: o.target, Kinds: map[string]int{},
		Rate:     median(rounds, (*round).rate),
		CPU:      median(rounds, func(r *round) float64 { return r.per(r.cpu.server) }),
		Database: median(rounds, func(r *round) float64 { return r.per(r.cpu.database) }),
		Cache:    median(rounds, func(r *round) float64 { return r.per(r.cpu.cache) }),
		Hash:     median(rounds, (*round).share),
		P50:      median(rounds, func(r *round) float64 { return r.quantile(.5) }),
		P99:      median(rounds, func(r *round) float64 { return r.quantile(.99) }),
	}
	for _, r := range rounds {
		out.Errors += r.failed
		for kind, n := range r.errs {
			out.Kinds[kind] += n
		}
	}
	return out
}
