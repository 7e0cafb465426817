package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/accesstoken"
	"ellis.example/caseservice/internal/api"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/lines"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/telemetry"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/web"
)

func newServeCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the case API", Args: cobra.NoArgs,
		Long: "Serve the case API until SIGTERM or SIGINT, then let requests finish.\n\n" +
			"The schema of the database is brought up to date first; one of a newer release is refused.\n" +
			"The issuer need not be up: until its keys were fetched, every call is answered 503.\n" +
			"It tells the API what it has revoked: register a confidential client (client_secret_basic) there for the API's server, and\n" +
			"name it in the API's registration.",
	}
	s.flags(cmd.Flags(), serveSettings...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.check(); err != nil {
			return err
		}
		key, err := config.Key(cmd.Flags(), prefix, codeKey)
		if err != nil {
			return err
		}
		secret, err := config.Secret(cmd.Flags(), prefix, clientSecret)
		if err != nil {
			return err
		}
		if s.traces, err = telemetry.Read(cmd.Flags(), prefix); err != nil {
			return err
		}
		return s.serve(cmd.Context(), key, secret, cmd.ErrOrStderr())
	}
	return cmd
}

// serve listens first, so that a taken port is said before anything else happens, and runs until ctx ends.
func (s *settings) serve(ctx context.Context, key []byte, secret string, errOut io.Writer) (err error) {
	out := lines.New(errOut)
	defer func() { _ = out.Flush() }() // there is nobody to tell that telling does not work
	log := s.logger(out)
	public, private, err := listeners(ctx, s.listen, s.privateListen)
	if err != nil {
		return err
	}
	m := newMetrics()
	tracer := newTracer(s.traces, "case-api", namespace, log, m.registry)
	defer tracer.Close()
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: s.role(), Log: log, Observe: m.commit, Waited: m.waited, Trace: tracer.Commits()})
	if err != nil {
		return errors.Join(err, public.Close(), private.Close())
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	kept, err := s.witnesses(ctx, store, key, clock.System{}, log)
	if err != nil {
		return errors.Join(err, public.Close(), private.Close())
	}
	from := issuer.New(issuer.Options{URL: s.issuer, Clock: clock.System{}, Log: log, CountFetch: m.fetch, Transport: tracer.Transport(nil, issuerPeer)})
	events := feed.New(feed.Options{
		Issuer: from, Audience: s.audience, ClientID: s.clientID, Secret: secret, Patience: s.patience, Clock: clock.System{}, Log: log,
		Observe: feed.Observer{Applied: m.event, Refused: m.feedRefused.Inc, Passed: m.passed, Asked: m.asked},
	})
	tokens := accesstoken.New(accesstoken.Options{Issuer: from, Audience: s.audience, Revocations: events, Clock: clock.System{}, CountToken: m.token})
	handler, err := api.New(api.Options{
		Issuer: s.issuer, Audience: s.audience, Key: key, Tokens: tokens, Cases: store, Claims: store, Commit: store, Clock: clock.System{},
	})
	if err != nil {
		return errors.Join(err, public.Close(), private.Close())
	}
	m.gauges(tokens, events, kept)
	m.registry.MustRegister(store.Metrics(namespace))
	load := web.NewLoad(m.registry, namespace, s.connections)
	stop := background(ctx, log, from, events, store, kept)
	defer func() { err = errors.Join(err, stop()) }()
	edge := web.Edge{Log: log, HSTS: strings.HasPrefix(s.audience, "https:"), Observe: m.request, Load: load, Trace: tracer}
	state := &web.State{}
	return web.Servers{
		Log: log, Public: edge.Wrap(handler), State: state, Load: load, Notice: s.notice, Drain: s.drain,
		Private: web.Private(state, m.registry, degraded(from, events, store, kept)),
	}.Run(ctx, public, private)
}

func listeners(ctx context.Context, public, private string) (net.Listener, net.Listener, error) {
	var lc net.ListenConfig
	a, err := lc.Listen(ctx, "tcp", public)
	if err != nil {
		return nil, nil, err
	}
	b, err := lc.Listen(ctx, "tcp", private)
	if err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a, b, nil
}

func (s *settings) logger(w *lines.Writer) *slog.Logger {
	level, _ := s.level() // checked before
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(w, o)
	if s.logFormat == "text" {
		h = slog.NewTextHandler(w, o)
	}
	return slog.New(telemetry.Logs(w.Handler(h), web.RequestID))
}

const (
	warmEvery   = 30 * time.Second // often enough that no caller waits for keys that have gone stale
	forgetEvery = 10 * time.Minute
	pingTimeout = time.Second
)

// background starts what runs beside the requests and returns what ends it. Every process does all of it: doing it twice
// changes nothing. It does not end with ctx: what is revoked counts until the last request was answered. What was answered last
// is in the witnesses, too, once it has ended; what stop returns says why it is not.
func background(ctx context.Context, log *slog.Logger, from *issuer.Issuer, events *feed.Feed, store unit.Committer, kept *witnesses) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		every(ctx, warmEvery, func() { _ = from.Warm(ctx) }) // failures are logged and counted where they happen
	})
	running.Go(func() { events.Follow(ctx) })
	running.Go(func() { kept.keep(ctx) })
	running.Go(func() {
		every(ctx, forgetEvery, func() {
			err := store.Commit(ctx, unit.Unit{Writes: []unit.Write{cases.Forget{Now: clock.System{}.Now()}}})
			if err != nil && ctx.Err() == nil {
				log.Warn("old claim tries and keys were not removed", "error", err)
			}
		})
	})
	return func() error { cancel(); running.Wait(); return kept.finish(ctx) }
}

// every calls f now and then again and again, until ctx ends.
func every(ctx context.Context, pause time.Duration, f func()) {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// degraded names what does not work at the moment, for /readyz.
func degraded(from *issuer.Issuer, events *feed.Feed, store *sqlstore.Store, kept *witnesses) func() []string {
	return func() (out []string) {
		if !from.Healthy() {
			out = append(out, "issuer")
		}
		if !events.Fresh() {
			out = append(out, "revocation feed")
		}
		ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
		defer cancel()
		if store.Ping(ctx) != nil {
			out = append(out, "database")
		}
		if store.Halted() {
			out = append(out, "database set back")
		}
		return append(out, kept.problems()...)
	}
}
