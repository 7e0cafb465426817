package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/mailbox"
)

// The ports that are tried first. They stand in the documents.
const (
	portIDP     = 8080
	portCaseAPI = 8081
	portPortal  = 8082
	portMailbox = 8083
)

const startTime = time.Minute // how long the services may take to serve

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends it at once
	os.Exit(run(endWithGoRun(ctx), os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	json, ephemeral      bool
	dir, postgres, redis string
	replicas             int
}

// maxReplicas is more than shows anything.
const maxReplicas = 9

// check says what is wrong with a call, or "".
func (o options) check() string {
	switch {
	case o.ephemeral && o.dir != "":
		return "choose --ephemeral or --data-dir"
	case o.replicas < 1 || o.replicas > maxReplicas:
		return fmt.Sprintf("--replicas is a number from 1 to %d", maxReplicas)
	case o.replicas > 1 && (o.postgres == "" || o.redis == ""):
		return "replicas share what they keep: name --postgres and --redis as well"
	}
	return ""
}

// run is the whole command; it returns the exit status: 0 after Ctrl-C, 1 when something failed, 2 for a call that cannot
// be understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&o.json, "json", false, "print one JSON object on standard output when everything answers")
	fs.BoolVar(&o.ephemeral, "ephemeral", false, "use free ports and a temporary folder that is removed at the end")
	fs.StringVar(&o.dir, "data-dir", "", "where data and logs are kept (default: .artifacts/demo in the checkout, or demo-postgres)")
	fs.StringVar(&o.postgres, "postgres", "", "PostgreSQL server, as postgres://USER@HOST/NAME, whose USER may create databases: one for each service is made there")
	fs.StringVar(&o.redis, "redis", "", "Redis server, as redis://HOST:PORT, for what may be lost")
	fs.IntVar(&o.replicas, "replicas", 1, "how many of each service run, behind a load balancer")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "demo: it takes no arguments, got %q\n", fs.Arg(0))
		return 2
	}
	if wrong := o.check(); wrong != "" {
		fmt.Fprintln(stderr, "demo:", wrong)
		return 2
	}
	d := demo{options: o, stdout: stdout, stderr: stderr}
	if err := d.run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// demo is one run.
type demo struct {
	options
	stdout, stderr io.Writer
	root           string
	cfg            launch.Config
	mailboxPort    int
	resumed        bool                  // everything was made by an earlier run
	at             []launch.ServicePorts // of the replicas; empty: there is one of each, and no load balancer
	group          *launch.Group
	procs          []*launch.Process
	running        context.Context         // of serve
	fail           context.CancelCauseFunc // ends it
}

// run returns when ctx ends or something fails; everything that it started has ended then.
func (d *demo) run(ctx context.Context) (err error) {
	if d.root, err = launch.Root("."); err != nil {
		return err
	}
	data, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.close()) }()
	d.cfg.Dir, d.cfg.Redis = data.dir, d.redis
	if err := d.openDatabases(ctx, data); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.dropDatabases(data)) }()
	d.say("building")
	if d.cfg.Binaries, err = launch.Build(ctx, d.root, d.stderr); err != nil {
		return err
	}
	var ports launch.Ports
	defer ports.Release()
	if err := d.choosePorts(&ports); err != nil {
		return err
	}
	if err := d.seed(ctx, data); err != nil {
		return err
	}
	ports.Release()
	return d.serve(ctx, data)
}

// open opens the data folder.
func (d *demo) open(ctx context.Context) (*data, error) {
	if d.ephemeral {
		return openTemporary(ctx)
	}
	dir := d.dir
	if dir == "" {
		dir = filepath.Join(d.root, ".artifacts", "demo")
		if d.postgres != "" {
			dir += "-postgres"
		}
	}
	return openData(ctx, dir)
}

func (d *demo) choosePorts(ports *launch.Ports) error {
	for _, p := range []struct {
		name  string
		first int
		to    *int
	}{
		{"identity provider", portIDP, &d.cfg.Ports.IDP}, {"case API", portCaseAPI, &d.cfg.Ports.CaseAPI},
		{"portal", portPortal, &d.cfg.Ports.Portal}, {"mailbox", portMailbox, &d.mailboxPort},
	} {
		var err error
		if d.ephemeral {
			*p.to, err = ports.Free()
		} else {
			*p.to, err = ports.From(p.first)
		}
		if err != nil {
			return err
		}
		if !d.ephemeral && *p.to != p.first {
			d.say(fmt.Sprintf("port %d is taken: the %s is at %d", p.first, p.name, *p.to))
		}
	}
	behind := d.replicas
	if behind == 1 { // and nothing stands before it
		behind = 0
	}
	var err error
	d.at, err = ports.Choose(&d.cfg, behind)
	return err
}

// serve runs everything until ctx ends or a part of it does.
func (d *demo) serve(ctx context.Context, data *data) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.running, d.fail = ctx, cancel
	if err := d.startMailbox(ctx, cancel); err != nil {
		return err
	}
	d.group = launch.NewGroup(data.logs())
	defer d.group.Stop()
	d.say("starting")
	if err := d.startServices(ctx); err != nil {
		return err
	}
	if err := d.announce(data.state); err != nil {
		return err
	}
	if err := d.watch(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	d.say("stopping")
	return nil
}

// startServices starts the identity provider, then what asks it for keys and metadata: who finds nobody there waits before
// asking again.
func (d *demo) startServices(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	if len(d.at) > 0 {
		return d.startReplicas(ctx)
	}
	for _, together := range [][]launch.Spec{{d.cfg.IDPSpec()}, {d.cfg.CaseAPISpec(), d.cfg.PortalSpec(portalID)}} {
		if err := d.startTogether(ctx, together); err != nil {
			return err
		}
	}
	return nil
}

// startTogether starts processes and returns when all of them serve.
func (d *demo) startTogether(ctx context.Context, together []launch.Spec) error {
	procs, err := d.group.StartAll(ctx, together...)
	d.procs = append(d.procs, procs...)
	return err
}

// startMailbox serves mail until ctx ends; that it cannot ends everything.
func (d *demo) startMailbox(ctx context.Context, fail context.CancelCauseFunc) error {
	box := mailbox.New(time.Now) //nolint:forbidigo // mails come when they come
	var listen net.ListenConfig
	smtp, err := listen.Listen(ctx, "tcp", launch.Loopback(d.cfg.SMTP))
	if err != nil {
		return err
	}
	web, err := listen.Listen(ctx, "tcp", launch.Loopback(d.mailboxPort))
	if err != nil {
		return errors.Join(err, smtp.Close())
	}
	srv := &http.Server{Handler: box.Handler(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		if err := box.ServeSMTP(ctx, smtp); err != nil {
			fail(fmt.Errorf("the mailbox takes no mail: %w", err))
		}
	}()
	go func() {
		if err := srv.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("the mailbox's page ended: %w", err))
		}
	}()
	return nil
}

// say tells how far it is.
func (d *demo) say(what string) {
	fmt.Fprintln(d.stderr, "demo:", what)
}
