package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/background"
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/web"
	"ellis.example/idp/internal/witness"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the provider", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := readSettings(cmd)
			if err != nil {
				return err
			}
			defer func() { _ = s.lines.Flush() }() // there is nobody to tell that telling does not work
			return serve(cmd.Context(), s)
		},
	}
	serveFlags(cmd.Flags())
	return cmd
}

// serve listens until ctx ends, and returns when everything that was taken is done.
func serve(ctx context.Context, s settings) (err error) {
	collectSeldom()
	public, err := listen(ctx, "--listen", s.listen)
	if err != nil {
		return err
	}
	private, err := listen(ctx, "--private-listen", s.private)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	p, err := assemble(ctx, s)
	if err != nil {
		return errors.Join(err, public.Close(), private.Close())
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { p.leader.Run(work, p.lead) })
	wg.Go(func() { background.Run(work, s.log, append(p.ownJobs(), memoryJobs(p.passwords.Trim)...)...) })
	err = web.Servers{Log: s.log, Public: p.public, Private: p.inner, State: &p.state, Load: p.load, Notice: s.notice, Drain: s.drain}.Run(ctx, public, private)
	stop()
	wg.Wait()
	p.kek.leave(ctx)
	err = errors.Join(err, p.strange.Finish(context.WithoutCancel(ctx)))
	return errors.Join(err, witness.Finish(ctx, p.exports, p.signs), p.close())
}

func listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &config.Error{Where: flag, Problem: err.Error()}
	}
	return l, nil
}

const healthTimeout = 5 * time.Second

// newHealthcheck asks the private listener, for container runtimes that have no other way to ask.
func newHealthcheck() *cobra.Command {
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask a running provider whether it serves", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, str(cmd, "url")+"/readyz", http.NoBody)
			if err != nil {
				return &config.Error{Where: "--url", Problem: err.Error()}
			}
			res, err := (&http.Client{Timeout: healthTimeout}).Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close() //nolint:errcheck // only the status counts
			if res.StatusCode != http.StatusOK {
				return errors.New("not serving: " + res.Status)
			}
			return say(cmd, map[string]string{"status": "ready"}, "ready")
		},
	}
	cmd.Flags().String("url", "http://127.0.0.1:9080", "private listener")
	return cmd
}
