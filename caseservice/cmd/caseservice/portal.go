package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/lines"
	"ellis.example/caseservice/internal/portal"
	"ellis.example/caseservice/internal/portal/caseapi"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/telemetry"
	"ellis.example/caseservice/internal/ui"
	"ellis.example/caseservice/internal/web"
)

// clientSecret is the name of the secret with which the portal authenticates to the issuer.
const clientSecret = "client-secret"

// portalSettings are those of the portal.
type portalSettings struct {
	issuer, api, apiURL, publicURL string
	listen, privateListen          string
	clientID                       string
	name, contact, accountURL      string
	sessions, signinRate           int
	proxies                        []netip.Prefix
	sharing                        sharing
	log                            settings // its level and format
	drain, notice                  time.Duration
	connections                    int // that may be open
	traces                         telemetry.Config
}

func (s *portalSettings) flags(fs *pflag.FlagSet) {
	fs.StringVar(&s.issuer, "issuer", "", "issuer at which people sign in, e.g. https://id.example")
	fs.StringVar(&s.api, "api", "", "identifier (audience) of the case API")
	fs.StringVar(&s.apiURL, "api-url", "", "URL at which the case API is reached, where that is not its identifier")
	fs.StringVar(&s.publicURL, "public-url", "", "origin at which browsers reach the portal, e.g. https://portal.example")
	fs.StringVar(&s.listen, "listen", "127.0.0.1:8082", "address of the portal")
	fs.StringVar(&s.privateListen, "private-listen", "127.0.0.1:9082", "address of /healthz, /readyz and /metrics")
	fs.StringVar(&s.clientID, "client-id", "", "client_id of the portal at the issuer")
	config.SecretFlag(fs, prefix, clientSecret, "client secret of the portal at the issuer")
	fs.StringVar(&s.name, "name", "Ellis", "what the portal calls itself")
	fs.StringVar(&s.contact, "contact", "", "e-mail address or URL that the help page names")
	fs.StringVar(&s.accountURL, "account-url", "", "where people look after password and devices (default: ISSUER/account)")
	fs.IntVar(&s.sessions, "max-sessions", signin.DefaultSessions, "how many sessions this process keeps without Redis; beyond that the one used longest ago ends")
	fs.IntVar(&s.signinRate, "signin-rate", 10, "sign-ins that one network may begin or finish a second, and a minute's worth at once; 0: any number")
	fs.StringSlice("trusted-proxies", nil, "networks of reverse proxies whose X-Forwarded-For is believed: 10.0.0.0/8")
	sharingFlags(fs)
	fs.StringVar(&s.log.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&s.log.logFormat, "log-format", "json", "json or text")
	fs.DurationVar(&s.drain, "drain", 10*time.Second, "how long requests may take to finish at the end")
	drainDelayFlag(fs, &s.notice)
	connectionsSetting(fs, &s.connections)
	telemetry.Flags(fs, prefix)
}

// check says what is wrong, and fills what has a default that depends on others. Errors: *config.Error.
func (s *portalSettings) check() error {
	if s.apiURL == "" {
		s.apiURL = s.api
	}
	if s.accountURL == "" {
		s.accountURL = strings.TrimSuffix(s.issuer, "/") + "/account"
	}
	for _, f := range []struct{ flag, text string }{
		{"issuer", s.issuer}, {"api", s.api}, {"api-url", s.apiURL}, {"public-url", s.publicURL}, {"account-url", s.accountURL},
	} {
		if err := checkIdentifier(f.text); err != nil {
			return &config.Error{Where: "--" + f.flag, Problem: err.Error()}
		}
	}
	if u, err := url.Parse(s.publicURL); err != nil || u.Path != "" {
		return &config.Error{Where: "--public-url", Problem: "scheme and host alone, without a path or a slash at the end"}
	}
	switch {
	case s.clientID == "":
		return &config.Error{Where: "--client-id", Problem: "it is required"}
	case s.sessions < 1:
		return &config.Error{Where: "--max-sessions", Problem: "a number above zero"}
	case s.signinRate < 0:
		return &config.Error{Where: "--signin-rate", Problem: "0 or more"}
	case s.drain <= 0:
		return &config.Error{Where: "--drain", Problem: "a time above zero, like 10s"}
	case s.log.logFormat != "json" && s.log.logFormat != "text":
		return &config.Error{Where: "--log-format", Problem: "json or text"}
	}
	if err := checkConnections(s.connections); err != nil {
		return err
	}
	_, err := s.log.level()
	return err
}

func newPortalCommand() *cobra.Command {
	var s portalSettings
	cmd := &cobra.Command{
		Use: "portal", Short: "Serve the applicants' portal", Args: cobra.NoArgs,
		Long: "Serve the applicants' portal until SIGTERM or SIGINT, then let requests finish.\n\n" +
			"Register it at the issuer as a confidential client (client_secret_basic) with the grant types authorization_code and\n" +
			"refresh_token, the redirect URI PUBLIC_URL/callback, the post-logout redirect URI PUBLIC_URL/signed-out, and the scope\n" +
			"\"" + strings.Join(signin.Scopes(), " ") + "\".\n\n" +
			"Neither the issuer nor the case API need be up: the pages say what does not answer. Sessions are kept in this process:\n" +
			"when it ends, people sign in again. With --redis and --session-key-file any number of processes share them.",
		Example: "  caseservice portal --issuer https://id.example --api https://api.example --public-url https://portal.example \\\n" +
			"    --client-id portal --client-secret-file portal.secret",
	}
	s.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.check(); err != nil {
			return err
		}
		secret, err := config.Secret(cmd.Flags(), prefix, clientSecret)
		if err != nil {
			return err
		}
		if s.proxies, err = config.Networks(cmd.Flags(), "trusted-proxies"); err != nil {
			return err
		}
		if s.sharing, err = readSharing(cmd.Flags()); err != nil {
			return err
		}
		if s.traces, err = telemetry.Read(cmd.Flags(), prefix); err != nil {
			return err
		}
		return s.serve(cmd.Context(), secret, cmd.ErrOrStderr())
	}
	return cmd
}

// serve runs the portal until ctx ends.
func (s *portalSettings) serve(ctx context.Context, secret string, errOut io.Writer) (err error) {
	out := lines.New(errOut)
	defer func() { _ = out.Flush() }() // there is nobody to tell that telling does not work
	log := s.log.logger(out)
	renderer, err := ui.New(ui.Brand{Name: s.name, Contact: s.contact})
	if err != nil {
		return err
	}
	origin, err := url.Parse(s.publicURL)
	if err != nil {
		return err
	}
	kept, err := s.sharing.open(ctx, s.sessions, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.close()) }()
	m := newPortalMetrics(kept.memory)
	m.registry.MustRegister(kept.db.Metrics(portalPrefix))
	load := web.NewLoad(m.registry, portalPrefix, s.connections)
	tracer := newTracer(s.traces, "portal", portalPrefix, log, m.registry)
	defer tracer.Close()
	entry := s.gate(secret, origin, tracer)
	entry.Store, entry.Observe = kept, m.gate
	gate := signin.New(entry)
	api := caseapi.New(s.apiURL, tracer.Transport(nil, apiPeer))
	p := portal.New(portal.Config{
		PublicURL: origin, Gate: gate, API: api, Renderer: renderer, Clock: clock.System{}, CSRFKey: kept.forms, AccountURL: s.accountURL,
	})
	public, private, err := listeners(ctx, s.listen, s.privateListen)
	if err != nil {
		return err
	}
	warm, cold := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { gate.WarmUp(warm) })
	running.Go(func() { kept.watch(warm) })
	defer running.Wait()
	defer cold()
	edge := web.Edge{Log: log, HSTS: origin.Scheme == "https", Observe: m.request, Load: load, Trace: tracer}
	state := &web.State{}
	return web.Servers{
		Log: log, Public: edge.Wrap(p.Handler()), State: state, Load: load, Notice: s.notice, Drain: s.drain,
		Private: web.Private(state, m.registry, unreachable(gate, api, kept)),
	}.Run(ctx, public, private)
}

// gate says how people sign in.
func (s *portalSettings) gate(secret string, origin *url.URL, tracer *telemetry.Tracer) signin.Config {
	return signin.Config{
		Issuer: s.issuer, ClientID: s.clientID, ClientSecret: secret, Resource: s.api,
		RedirectURI: s.publicURL + "/callback", SignedOutURI: s.publicURL + "/signed-out",
		Cookies: signin.NewCookies(origin.Scheme == "https"), Clock: clock.System{},
		Limit: signin.PerSecond(s.signinRate), Proxies: s.proxies, Transport: tracer.Transport(nil, issuerPeer),
	}
}

// unreachable names what did not answer when it was last asked, for /readyz.
func unreachable(gate *signin.Gate, api *caseapi.Client, kept *sessions) func() []string {
	return func() (out []string) {
		if !gate.Reachable() {
			out = append(out, "issuer")
		}
		if !api.Reachable() {
			out = append(out, "case API")
		}
		if problem := kept.problem(); problem != "" {
			out = append(out, problem)
		}
		return out
	}
}

// portalPrefix begins the names of the portal's metrics.
const portalPrefix = namespace + "_portal"

// portalMetrics are what the portal counts.
type portalMetrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	outcomes *prometheus.CounterVec
}

func newPortalMetrics(memory *signin.Memory) *portalMetrics {
	const subsystem = "portal"
	m := &portalMetrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: "requests_total", Help: "Answers by route and status."}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_seconds", Help: "Time to answer, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: "outcomes_total", Help: "What became of sign-ins, renewals and revocations of tokens."}, []string{"what", "outcome"}),
	}
	size := func(name, help string, of func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, func() float64 { return float64(of()) })
	}
	m.registry.MustRegister(m.requests, m.took, m.outcomes, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	if memory == nil { // Redis knows how many there are
		return m
	}
	m.registry.MustRegister(
		size("sessions", "Sessions in memory, dead ones included until room is needed.", func() int { n, _ := memory.Len(); return n }),
		size("used_attempts", "Sign-ins that came back within the hour, kept so that none counts twice.", func() int { _, n := memory.Len(); return n }),
	)
	return m
}

func (m *portalMetrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

func (m *portalMetrics) gate(what, outcome string) { m.outcomes.WithLabelValues(what, outcome).Inc() }
