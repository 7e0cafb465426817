package reach

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

var revocations = flag.Int("revocations", 0, "how many revocations of people's tokens to measure; 0: a few")

const (
	promised   = time.Second
	allowed    = 3 * time.Second // an API that hears nothing asks after five
	givenUp    = 30 * time.Second
	probePause = 3 * time.Millisecond
	retryPause = 50 * time.Millisecond

	workers = 6
)

// sizes are how many revocations each phase measures at least.
type sizes struct{ steady, flushed, restarts, machines, keys int }

func size() sizes {
	if n := *revocations; n > 0 {
		return sizes{steady: n, flushed: n / 4, restarts: n / 100, machines: n / 50, keys: n / 100}
	}
	return sizes{steady: 18, flushed: 8, restarts: 1, machines: 1, keys: 2}
}

// TestAttack_D10_EveryReplicaOfTheAPIRefusesWhatAnyReplicaRevoked revokes in every way while others use both services, then
// while Redis loses everything again and again, and then right before PostgreSQL is killed.
func TestAttack_D10_EveryReplicaOfTheAPIRefusesWhatAnyReplicaRevoked(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	n, list := size(), make([]*person, workers)
	robots := c.registerMachines(n.machines) // before the load, which reads the clients
	crowd := c.load()
	var all delays
	phase := func(name string, least int, d *delays) {
		t.Helper()
		d.hold(t, name, least)
		all.ends = append(all.ends, d.ends...)
	}
	phase("steady", n.steady, c.measure(list, n.steady, nil))
	phase("machines", n.machines, c.disableMachines(robots))
	c.measured(n.steady + n.machines)
	phase("redis flushed", n.flushed, c.measure(list, n.flushed, c.flushRedis))
	phase("database killed", n.restarts, c.killDatabase(list, n.restarts))
	phase("keys", n.keys, c.revokeKeys(n.keys))
	c.restartAPI(all.ends)
	c.neverAgain(&all)
	crowd.end(t)
}

// measure lets people revoke in every way in turn, until so many delays are known and disturb has ended.
func (c *cluster) measure(list []*person, least int, disturb func(context.Context)) *delays {
	c.Helper()
	d := &delays{}
	var disturbing, working sync.WaitGroup
	var calm atomic.Bool
	disturbing.Go(func() {
		defer calm.Store(true)
		if disturb != nil {
			disturb(c.Context())
		}
	})
	ways := waysToRevoke()
	for i := range list {
		working.Go(func() {
			for turn := i; (!calm.Load() || d.count() < least) && c.goesOn(); turn++ {
				w := c.prepare(&list[i], ways[turn%len(ways)])
				w.revoke(d, func() {})
			}
		})
	}
	working.Wait()
	disturbing.Wait()
	return d
}

func (c *cluster) goesOn() bool { return c.Context().Err() == nil && !c.Failed() }

// attempt is a token that every replica of the API has taken, and the way in which it will end.
type attempt struct {
	*cluster
	who  **person // nil: somebody has to be made
	of   seed.Tokens
	seen ended
	way  wayToRevoke
}

// prepare gets a token for a person, as soon as it can be had, and lets every replica of the API see it.
func (c *cluster) prepare(who **person, way wayToRevoke) attempt {
	w := attempt{cluster: c, who: who, way: way}
	for ; c.goesOn(); time.Sleep(retryPause) {
		if *who == nil {
			p, err := c.newPerson(c.Context())
			if err != nil {
				continue
			}
			*who = p
		}
		var err error
		if w.of, err = (*who).tokens(c.Context()); err != nil {
			continue
		}
		if w.seen = (ended{w.of.Access, "/v1/cases"}); c.takenEverywhere(c.Context(), w.seen) {
			break
		}
	}
	return w
}

// revoke ends the token, tells by answered that this was answered, and notes how long it was taken after that. Where nobody
// can tell what became of the person, somebody else goes on.
func (w attempt) revoke(d *delays, answered func()) {
	if !w.goesOn() {
		return
	}
	p := *w.who
	from, err := w.way.do(w.Context(), p, w.of)
	if err != nil {
		d.mu.Lock()
		d.lost++
		d.mu.Unlock()
		*w.who = nil
		return
	}
	answered()
	to, err := w.lastRefusal(w.Context(), w.seen)
	if err != nil {
		w.Errorf("%s: %v", w.way.name, err)
		return
	}
	d.add(delay{w.way.name, to.Sub(from), d.overlap(from, to)}, w.seen)
	if w.way.ends {
		p.browser = nil
	}
	if w.way.undo != nil && w.way.undo(w.Context(), p) != nil {
		*w.who = nil
	}
}

// flushRedis lets Redis lose everything, again and again.
func (c *cluster) flushRedis(ctx context.Context) {
	for range 5 {
		if _, err := c.redis.Do(ctx, "FLUSHALL"); err != nil {
			c.Error(err)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// killDatabase lets everybody revoke at the same time, and kills the database once the first of them was answered, some times.
func (c *cluster) killDatabase(list []*person, times int) *delays {
	c.Helper()
	d, ways := &delays{}, waysToRevoke()
	for round := range times {
		attempts := make([]attempt, len(list))
		var ready, working sync.WaitGroup
		for i := range list {
			ready.Go(func() { attempts[i] = c.prepare(&list[i], ways[(round+i)%len(ways)]) })
		}
		ready.Wait()
		first := make(chan struct{})
		var once sync.Once
		answered := func() { once.Do(func() { close(first) }) }
		for _, w := range attempts {
			working.Go(func() { defer answered(); w.revoke(d, answered) })
		}
		<-first
		c.restartDatabase(d)
		working.Wait()
	}
	return d
}

// restartDatabase kills the server under everything and starts it again. It is away until something can be written.
func (c *cluster) restartDatabase(d *delays) {
	c.Helper()
	d.gone()
	c.must(c.pg.Kill())
	c.must(c.pg.Start(c.Context()))
	for ; c.goesOn(); time.Sleep(probePause) {
		if _, err := c.asked(c.Context(), seed.ForMachine(), seed.Machine); err == nil {
			break
		}
	}
	d.back()
}

// registerMachines makes clients that stand for themselves.
func (c *cluster) registerMachines(n int) (ids []string) {
	c.Helper()
	const one = "{{range .}}\n  - {client_id: {{.}}, client_name: Robot, grant_types: [client_credentials], scope: cases:stats, apis: [cases], token_endpoint_auth_method: client_secret_basic}{{end}}\n"
	for i := range n {
		ids = append(ids, fmt.Sprint("robot-", i))
	}
	made, err := seed.Register(c.Context(), c.cfg, "clients:"+one, ids)
	c.must(err)
	for id, secret := range made {
		c.clients[id] = secret
	}
	return ids
}

// disableMachines disables clients one after another.
func (c *cluster) disableMachines(ids []string) *delays {
	c.Helper()
	d := &delays{}
	for _, id := range ids {
		of, err := c.asked(c.Context(), seed.ForMachine(), id)
		for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); of, err = c.asked(c.Context(), seed.ForMachine(), id) { // registered a moment ago
			time.Sleep(retryPause)
		}
		c.must(err)
		c.endBy(d, "client disabled", ended{of.Access, "/v1/stats"}, "client", "update", id, "--disabled")
	}
	return d
}

// revokeKeys discards the signing key, in both ways in turn, with every token that it signed.
func (c *cluster) revokeKeys(times int) *delays {
	c.Helper()
	d, somebody := &delays{}, (*person)(nil)
	for i := range times {
		w := c.prepare(&somebody, wayToRevoke{})
		key, err := kid(w.of.Access)
		c.must(err)
		if i%2 == 0 {
			c.endBy(d, "key revoked", w.seen, "keys", "revoke", key)
		} else {
			c.endBy(d, "keys rotated at once", w.seen, "keys", "rotate", "--alg", "ES256", "--emergency")
		}
	}
	return d
}

// endBy revokes by a command and notes how long a token was taken after that.
func (c *cluster) endBy(d *delays, way string, e ended, args ...string) {
	c.Helper()
	for end := time.Now().Add(5 * time.Second); !c.takenEverywhere(c.Context(), e); time.Sleep(retryPause) {
		if time.Now().After(end) {
			c.Fatalf("%s: the token is not taken before it", way)
		}
	}
	from, err := c.byCommand(c.Context(), args...)
	c.must(err)
	to, err := c.lastRefusal(c.Context(), e)
	if err != nil {
		c.Fatalf("%s: %v", way, err)
	}
	d.add(delay{way: way, took: to.Sub(from)}, e)
}

// measured checks that both sides have measured what happened: each API was told of every revocation, by either provider.
func (c *cluster) measured(least int) {
	c.Helper()
	var told float64
	for _, p := range c.idps {
		told += c.metric(p, "idp_feed_delay_seconds_count")
	}
	if want := float64(least * len(c.apis)); told < want {
		c.Errorf("the providers measured %v answers, of at least %v", told, want)
	}
	for i, p := range c.apis {
		heard, soon := c.metric(p, "caseservice_feed_delay_seconds_count"), c.metric(p, `caseservice_feed_delay_seconds_bucket{le="1"}`)
		c.Logf("replica %d of the API heard of %v events, %v of them within a second, and asked about %v tokens", i+1, heard, soon, c.metric(p, "caseservice_introspections_total"))
		if heard < float64(least) || soon < heard/2 {
			c.Errorf("replica %d of the API measured %v of at least %d, %v within a second", i+1, heard, least, soon)
		}
	}
}

// restartAPI kills a replica of the API, starts it again and asks it from its first moment on: it takes nothing that was
// revoked before, and what stands as soon as it can.
func (c *cluster) restartAPI(list []ended) {
	c.Helper()
	var somebody *person
	stands := c.prepare(&somebody, wayToRevoke{}).seen
	last := list[max(0, len(list)-20):]
	c.apis[0].Kill()
	again, err := c.group.Start(c.apis[0].Spec)
	c.must(err)
	began, asked := time.Now(), 0
	for taken := false; !taken; asked++ {
		e := last[asked%len(last)]
		if _, bad := c.refused(c.Context(), c.direct[0], e); bad {
			c.Errorf("%v after its start, it takes what was revoked", time.Since(began))
		}
		_, taken = c.refused(c.Context(), c.direct[0], stands)
		if time.Since(began) > startTime {
			c.Fatalf("it does not take what stands: %s", launch.Tail(again.Log))
		}
	}
	c.Logf("a replica of the API that was started again took what stands after %v, and refused %d times what does not", short(time.Since(began)), asked)
	ctx, cancel := context.WithTimeout(c.Context(), startTime)
	defer cancel()
	c.must(again.Ready(ctx))
	c.apis[0] = again
}

// crowd uses both services beside what is measured.
type crowd struct {
	stop           context.CancelFunc
	running        sync.WaitGroup
	taken, refused atomic.Int64
	away           atomic.Int64
}

const (
	readers   = 3
	perReader = 8
	pace      = 15 * time.Millisecond
)

// load lets readers look at cases with tokens of their own, through the load balancers, and a machine ask for tokens.
func (c *cluster) load() *crowd {
	c.Helper()
	ctx, stop := context.WithCancel(c.Context())
	l := &crowd{stop: stop}
	for range readers {
		l.running.Go(func() {
			p, err := c.newPerson(ctx)
			if err != nil {
				c.Error(err)
				return
			}
			held := make([]string, perReader)
			for i := 0; ctx.Err() == nil; i++ {
				l.read(ctx, p, &held[i%perReader])
				time.Sleep(pace)
			}
		})
	}
	l.running.Go(func() {
		for ctx.Err() == nil {
			_, _ = c.asked(ctx, seed.ForMachine(), seed.Machine)
			time.Sleep(pace)
		}
	})
	c.Cleanup(func() { stop(); l.running.Wait() })
	return l
}

// read looks at the cases of a person with a token that is kept, and gets another one where it is refused.
func (l *crowd) read(ctx context.Context, p *person, token *string) {
	if *token == "" {
		of, err := p.tokens(ctx)
		if err != nil {
			l.away.Add(1)
			return
		}
		*token = of.Access
	}
	a, err := p.get(ctx, p.cfg.CaseAPI()+"/v1/cases", "Authorization", "Bearer "+*token)
	switch {
	case err != nil:
		l.away.Add(1)
	case a.Status == http.StatusOK:
		l.taken.Add(1)
	case a.Status == http.StatusUnauthorized: // its key was revoked, or it has ended
		l.refused.Add(1)
		*token = ""
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusBadGateway: // 502: the replica was killed meanwhile
		l.away.Add(1)
	default:
		p.Errorf("the API answers %d: %.200s", a.Status, a.Body)
	}
}

// end stops the crowd.
func (l *crowd) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.running.Wait()
	t.Logf("beside it, %d reads of cases went well, %d were refused, %d found something away", l.taken.Load(), l.refused.Load(), l.away.Load())
	if l.taken.Load() < readers*perReader {
		t.Errorf("%d reads went well: there was no load", l.taken.Load())
	}
}
