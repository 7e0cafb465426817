package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ellis.example/idp/internal/acts"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/background"
	"ellis.example/idp/internal/client"
	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/lease"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/oauth"
	"ellis.example/idp/internal/pages"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/telemetry"
	"ellis.example/idp/internal/throttle"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/web"
	"ellis.example/idp/internal/witness"
)

// provider is everything that runs, wired.
type provider struct {
	settings
	store   *sqlstore.Store
	redisDB *redisdb.DB       // nil: there is none
	trace   *telemetry.Tracer // nil: nobody asks for traces
	sealer  *seal.Sealer
	kek     *kekWatch
	exports *witness.Outside // nil: none is kept
	signs   *witness.Outside // nil: none are kept
	ring    *keyring.Ring
	keeper  *keyring.Ring // changes keys while this replica leads
	leader  *lease.Candidate
	held    *sqlstore.Store // the store, for what only the leader may write
	mailer  *notify.Deliverer
	metrics *prometheus.Registry
	state   web.State
	router  *mux.Router
	public  http.Handler
	inner   http.Handler // the private listener's
	strange *throttle.Strangers
	load    *web.Load

	passwords *factor.Passwords
	volatile  volatileStore
}

// secrets are the long-lived ones that are made at the first start and kept sealed.
type secrets struct{ csrf, throttle, recovery, refresh, checkpoint []byte }

// assemble opens the stores and wires the provider. The caller ends it with close.
func assemble(ctx context.Context, s settings) (_ *provider, err error) {
	p := &provider{settings: s, metrics: prometheus.NewRegistry()}
	if err = p.openStore(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.sealer, err = sealerFor(ctx, s.kek, p.store); err != nil {
		return nil, err
	}
	p.kek = newKEKWatch(p.store, p.sealer, s.clock)
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	p.leader = lease.New(lease.Config{Name: "jobs", Store: p.store, Commit: p.store, Clock: s.clock, Log: s.log})
	p.held = p.store.Under(p.leader.Condition)
	p.metrics.MustRegister(leads(p.leader))
	keys := keyring.Deps{Store: p.store, Commit: p.store, Seal: p.sealer, Clock: s.clock, External: s.signer}
	p.ring = keyring.New(keys)
	keys.Commit = p.held
	p.keeper = keyring.New(keys)
	algs, err := algorithms(ctx, p.store)
	if err != nil {
		return nil, err
	}
	if err := p.ring.Ensure(ctx, algs...); err != nil {
		return nil, wrongKey(err)
	}
	sec, err := readSecrets(p.ring)
	if err != nil {
		return nil, wrongKey(err)
	}
	if err := p.outside(ctx, sec.checkpoint); err != nil {
		return nil, err
	}
	if err := p.openVolatile(ctx); err != nil {
		return nil, err
	}
	return p, p.wire(sec)
}

// openStore opens the database and sees to its schema.
func (p *provider) openStore(ctx context.Context) error {
	p.trace = newTracer(p.settings, p.metrics)
	role := ""
	if p.checkpoint != "" {
		if err := witness.Beginnable(p.checkpoint); err != nil {
			return err
		}
		role = witness.Role
	}
	st, err := sqlstore.Open(ctx, p.database, sqlstore.Options{
		Role: role, Clock: p.clock, Log: p.log, Observe: commitObserver(p.metrics), Waited: waitObserver(p.metrics), Trace: p.trace.Commits(),
	})
	if err != nil {
		return err
	}
	if err = st.CheckSchema(ctx); errors.Is(err, sqlstore.ErrOlderSchema) && p.migrate {
		_, err = st.Migrate(ctx)
	}
	if err == nil {
		err = notCopied(ctx, st)
	}
	if err != nil {
		return errors.Join(err, st.Close())
	}
	p.store = st
	return nil
}

// notCopied refuses a restored copy that nobody accepted.
func notCopied(ctx context.Context, st *sqlstore.Store) error {
	is, err := st.IsCopy(ctx)
	if err == nil && is {
		return epochs.ErrCopy
	}
	return err
}

// algorithms are those that registered clients and APIs are signed for.
func algorithms(ctx context.Context, st *sqlstore.Store) (out []string, err error) {
	apis, err := st.APIs(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range apis {
		out = append(out, a.SigningAlg)
	}
	clients, err := st.Clients(ctx)
	for _, c := range clients {
		out = append(out, c.WithDefaults().IDTokenAlg)
	}
	return out, err
}

func readSecrets(r *keyring.Ring) (s secrets, err error) {
	for name, to := range map[string]*[]byte{
		"csrf": &s.csrf, "throttle": &s.throttle, "recovery": &s.recovery, "refresh": &s.refresh, "checkpoint": &s.checkpoint,
	} {
		if *to, err = r.Secret(name); err != nil {
			return s, err
		}
	}
	return s, nil
}

// wire builds the handlers.
func (p *provider) wire(sec secrets) error {
	renderer, err := ui.New(ui.Brand{Name: p.name, Contact: p.contact})
	if err != nil {
		return err
	}
	var shown *pages.Pages
	p.load = web.NewLoad(p.metrics, p.connections)
	edge := web.NewEdge(web.Config{
		Load: p.load, Trace: p.trace,
		Issuer: p.issuer, Clock: p.clock, Log: p.log, TrustedProxies: p.proxies, CSRFKey: sec.csrf, Observe: web.Observer(p.metrics),
		ErrorPage: func(w http.ResponseWriter, r *http.Request, f *fault.Error) { shown.ShowFault(w, r, f) },
	})
	p.mailer = (&notify.Deliverer{
		Store: p.store, Commit: p.held, Fence: p.leader.Fence, Seal: p.sealer, Relay: p.relay, Clock: p.clock, Log: p.log, Observe: counter(p.metrics, "idp_mail_total", "Attempts to deliver mail, by outcome."),
	}).Init()
	clients, apis := client.NewCache(p.store, p.clock), api.NewCache(p.store, p.clock)
	p.passwords = factor.NewPasswords(p.pepper, p.hashing)
	p.usage(clients, apis)
	networks := throttle.NewNetworks(p.volatile, p.limits, countBy(p.metrics, "idp_limited_total", "Requests refused because of their network's share, by kind; store_failed: requests that could not be counted and passed.", "kind"))
	p.strange = throttle.NewStrangers(p.store, p.clock, p.log, countBy(p.metrics, "idp_strangers_total", "Refusals of requests that name nobody known or were not looked at, by type of event.", "type"))
	gather := flow.Gatherer{Sessions: p.store, Accounts: p.store, Consents: p.store, Factors: p.store, Subjects: client.Subjects{Clients: clients, Keys: p.ring}}
	act := acts.New(p.store, p.clock)
	flows, codes := epochs.Flows{Store: p.volatile, Now: p.store.EpochMark}, epochs.Codes{CodeStore: p.volatile, Now: p.store.EpochMark}
	shown = pages.New(pages.Deps{
		Issuer: p.issuer, Edge: edge, Renderer: renderer, Clock: p.clock, Store: p.store, Commit: p.store, Flows: flows, Volatile: p.volatile,
		Gather: gather, Clients: clients, APIs: apis, Passwords: p.passwords, Seal: p.sealer, RecoveryKey: sec.recovery,
		Limiter: throttle.New(p.store, p.clock, sec.throttle), Networks: networks, Strangers: p.strange, Acts: act, Wake: p.mailer.Wake, Name: p.name,
	})
	protocol, err := oauth.New(oauth.Deps{
		Issuer: p.issuer, Clients: clients, APIs: apis, Keys: p.ring, Grants: p.store, Spent: p.store, Commit: p.store, Flows: flows, Codes: codes,
		Gather: gather, Accounts: p.store, Sessions: p.store, Acts: act, Networks: networks, Strangers: p.strange, Edge: edge, Show: shown.Show, Clock: p.clock, RefreshSecret: sec.refresh,
		Feed: p.follow(), CountPoll: counter(p.metrics, "idp_feed_polls_total", "Polls of APIs for what was revoked, by outcome."), ObserveDelay: feedDelay(p.metrics),
	})
	if err != nil {
		return err
	}
	r := mux.NewRouter()
	r.UseEncodedPath()
	r.NotFoundHandler, r.MethodNotAllowedHandler = edge.NotFound(), edge.MethodNotAllowed()
	protocol.Mount(r)
	shown.Mount(r)
	p.router, p.public = r, edge.Wrap(r)
	p.inner = web.Private(&p.state, p.metrics, p.degraded)
	return nil
}

// counter returns a function that counts outcomes.
func counter(reg prometheus.Registerer, name, help string) func(string) {
	return countBy(reg, name, help, "outcome")
}

// countBy returns a function that counts by one label.
func countBy(reg prometheus.Registerer, name, help, label string) func(string) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	reg.MustRegister(c)
	return func(value string) { c.WithLabelValues(value).Inc() }
}

// leads tells who does the work of all replicas.
func leads(l *lease.Candidate) prometheus.Collector {
	opts := prometheus.GaugeOpts{Name: "idp_leader", Help: "1 while this replica sends mail, sweeps, indexes the audit and keeps the keys for all of them."}
	return prometheus.NewGaugeFunc(opts, func() float64 {
		if l.Works() {
			return 1
		}
		return 0
	})
}

// degraded names what does not work at the moment.
func (p *provider) degraded(ctx context.Context) (out []string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if p.store.Ping(ctx) != nil {
		out = append(out, "database")
	}
	if problem := p.redisProblem(ctx); problem != "" {
		out = append(out, problem)
	}
	if p.kek.behind.Load() {
		out = append(out, "key-encryption key")
	}
	if p.exports.Behind() {
		out = append(out, "audit export")
	}
	if p.signs.Behind() {
		out = append(out, "audit checkpoints")
	}
	if p.mailer.RelayAway() {
		out = append(out, "mail relay")
	}
	return out
}

// lead does what only one replica does at a time, until ctx ends.
func (p *provider) lead(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { p.mailer.Run(ctx) })
	background.Run(ctx, p.log, p.jobs()...)
	wg.Wait()
}

// jobs are what the leader does beside the requests.
func (p *provider) jobs() []background.Job {
	return []background.Job{
		{Name: "audit-index", Every: 2 * time.Second, Do: p.held.IndexAudit},
		{Name: "sweep", Every: time.Minute, Do: func(ctx context.Context) error {
			_, err := p.held.SweepOn(ctx, p.clock.Now())
			return err
		}},
		{Name: "keys", Every: time.Minute, Do: p.keeper.Maintain},
	}
}

// ownJobs are what every replica does: it counted the strangers itself, and its checkpoints are a witness of their own.
func (p *provider) ownJobs() []background.Job {
	out := append(append(p.redisJobs(), p.kek.jobs()...), background.Job{Name: "strangers", Every: time.Minute, Do: p.strange.Flush})
	if p.exports != nil {
		out = append(out, background.Job{Name: "audit-export", Every: witness.ExportEvery, Do: p.exports.Once})
	}
	if p.signs != nil {
		out = append(out, background.Job{Name: "checkpoint", Every: witness.CheckpointEvery, Do: p.signs.Once})
	}
	return out
}

// close ends the stores. Units that were taken become durable first, and spans that wait are sent.
func (p *provider) close() error {
	err := errors.Join(p.store.Close(), p.closeVolatile())
	p.trace.Close()
	return err
}
