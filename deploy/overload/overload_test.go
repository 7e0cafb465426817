package overload

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

// size is how hard a run is.
type size struct {
	sockets int           // hostile connections to each service
	phase   time.Duration // how long each kind of load lasts
	long    bool
}

func sizeOf(t *testing.T) size {
	t.Helper()
	text := os.Getenv("ELLIS_OVERLOAD")
	if text == "" {
		return size{sockets: 2000, phase: time.Second}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ELLIS_OVERLOAD is how many hostile connections there are, not %q", text)
	}
	return size{sockets: n, phase: 10 * time.Second, long: true}
}

// What is promised (bytes of memory; time from the end of the load to the first success).
const (
	maxMemory   = 256 << 20
	maxRecovery = 5 * time.Second
	slack       = 4 // of a machine that does other things as well
)

// tally is what came of many requests of one kind.
type tally struct {
	what   string
	took   time.Duration
	mu     sync.Mutex
	ok     int
	busy   int // 503 with Retry-After, and 429
	other  int // other orderly answers
	failed int // connections that gave no answer
	times  []time.Duration
	wrong  []string // answers that nobody may get
}

func (l *tally) note(a agent.Answer, err error, took time.Duration, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed++
	case !orderly(a):
		l.wrong = append(l.wrong, fmt.Sprintf("%d %v %.200s", a.Status, a.Header, a.Body))
	case a.Status == want:
		l.ok++
		l.times = append(l.times, took)
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusTooManyRequests:
		l.busy++
	default:
		l.other++
	}
}

// String tells the figures.
func (l *tally) String() string {
	slices.Sort(l.times)
	q := func(p float64) time.Duration {
		if len(l.times) == 0 {
			return 0
		}
		return l.times[min(int(p*float64(len(l.times))), len(l.times)-1)].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%s: %d well (%.0f/s, p50 %v, p99 %v), %d busy, %d other, %d without an answer", l.what, l.ok, l.rate(), q(.5), q(.99), l.busy, l.other, l.failed)
}

func (l *tally) rate() float64 { return float64(l.ok) / l.took.Seconds() }

// drive lets workers send what next makes, one request after another, for a time.
func (s *system) drive(what string, workers int, length time.Duration, want int, c *http.Client, next func() *http.Request) *tally {
	s.Helper()
	l := &tally{what: what}
	began, cpu := time.Now(), launch.CPU(s.idp.Pid, false)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for time.Since(began) < length {
				from := time.Now()
				a, err := agent.Do(c, next())
				l.note(a, err, time.Since(from), want)
			}
		})
	}
	all.Wait()
	l.took = time.Since(began)
	s.Logf("%v; the provider worked for %v", l, launch.CPU(s.idp.Pid, false)-cpu)
	for i, w := range l.wrong {
		if i < 3 {
			s.Errorf("%s: %s", what, w)
		}
	}
	return l
}

func (s *system) machines(what string, workers int, length time.Duration) *tally {
	s.Helper()
	c := newClient(workers)
	defer c.CloseIdleConnections()
	return s.drive(what, workers, length, http.StatusOK, c, s.machine)
}

// keys asks for the keys, each time on a new connection.
func (s *system) keys(what string, workers int, length time.Duration) *tally {
	s.Helper()
	c := newClient(workers)
	c.Transport.(*http.Transport).DisableKeepAlives = true
	return s.drive(what, workers, length, http.StatusOK, c, func() *http.Request {
		return s.request(http.MethodGet, s.cfg.Issuer()+"/jwks", nil)
	})
}

// reads asks the case API for the cases of the person.
func (s *system) reads(what string, workers int, length time.Duration) *tally {
	s.Helper()
	c := newClient(workers)
	defer c.CloseIdleConnections()
	return s.drive(what, workers, length, http.StatusOK, c, func() *http.Request {
		return s.request(http.MethodGet, s.cfg.CaseAPI()+"/v1/cases", nil, "Authorization", "Bearer "+s.person.Access)
	})
}

// guesses sends wrong passwords for people whom nobody knows, which cost as much as those of others.
// The form that they send is fetched now.
func (s *system) guesses(what string, workers int, length time.Duration) func() *tally {
	s.Helper()
	home, err := url.Parse(s.cfg.Issuer())
	s.must(err)
	browser := agent.New()
	s.must(browser.Get(s.Context(), s.cfg.Issuer()+"/signin"))
	at := slices.IndexFunc(browser.Page.Forms, func(f agent.Form) bool { return url.Values(f.Values).Has("identifier") })
	if at < 0 {
		s.Fatalf("no sign-in form: %s", browser.Page.Text)
	}
	form, target := browser.Page.Forms[at].Values, browser.Page.URL.String()
	var cookies string
	for _, c := range browser.Cookies(home) {
		cookies += c.Name + "=" + c.Value + "; "
	}
	var n atomic.Int64
	return func() *tally {
		c := newClient(workers)
		defer c.CloseIdleConnections()
		return s.drive(what, workers, length, http.StatusUnprocessableEntity, c, func() *http.Request {
			v := url.Values{"identifier": {fmt.Sprintf("nobody-%d@example.com", n.Add(1))}, "password": {"not the right one"}, "csrf_token": {url.Values(form).Get("csrf_token")}}
			return s.request(http.MethodPost, target, v, "Cookie", cookies, "Origin", s.cfg.Issuer(), "Accept", "text/html")
		})
	}
}

func TestOverload_AnswersStayOrderlyMemoryBoundedAndAllIsWellAgainSoon(t *testing.T) {
	t.Parallel()
	z, s := sizeOf(t), newSystem(t)
	guess := s.guesses("wrong passwords", 128, 2*z.phase)
	s.machines("warming up", 16, z.phase/2)
	top := s.machines("client_credentials, 16 at a time", 16, z.phase)
	crowds := []*launch.Process{s.gather(s.cfg.Ports.IDP, z.sockets, 60_000), s.gather(s.cfg.Ports.CaseAPI, z.sockets, 16_000), s.gather(s.cfg.Ports.Portal, z.sockets/10, 16_000)}
	for p, prefix := range s.services() {
		if s.metric(p, prefix+"_connections") == 0 {
			t.Errorf("%s counts no connection of a crowd: nothing bounds them", prefix)
		}
	}
	s.mostly(z, s.machines("… beside the crowd", 16, z.phase))
	s.mostly(z, s.reads("reads of cases beside the crowd", 16, z.phase))
	s.mostly(z, s.keys("stampede for the keys beside the crowd", 200, z.phase))
	s.storm(z, guess)
	ten := s.machines("ten times the load, beside the crowd", 256, z.phase)
	s.mostly(z, s.reads("reads of cases, afterwards", 4, z.phase/2))
	for _, c := range crowds {
		_ = c.End() // by the signal
	}
	s.recovers(z)
	s.bounded(z)
	t.Logf("goodput at ten times the load: %.0f %% of %.0f/s", 100*ten.rate()/top.rate(), top.rate())
	if ten.ok == 0 {
		t.Error("nothing went well at ten times the load")
	}
	s.alive()
}

// mostly demands that nearly all were answered: connections are made anew while others are dropped, and some meet that. Where
// this machine has nothing else to do, nearly all go well.
func (s *system) mostly(z size, l *tally) {
	s.Helper()
	good := l.ok + l.busy
	if z.long {
		good = l.ok
	}
	if all := l.ok + l.busy + l.other + l.failed; good == 0 || good*100 < all*95 {
		s.Errorf("%v", l)
	}
}

// storm sends more wrong passwords than can be hashed. The rest goes on meanwhile.
func (s *system) storm(z size, guess func() *tally) {
	s.Helper()
	var guesses *tally
	var all sync.WaitGroup
	all.Go(func() { guesses = guess() })
	time.Sleep(z.phase / 2)
	machines := s.machines("client_credentials in the storm", 8, z.phase)
	keys := s.keys("keys in the storm", 8, z.phase/2)
	all.Wait()
	s.mostly(z, machines)
	s.mostly(z, keys)
	if guesses.busy == 0 || guesses.ok == 0 {
		s.Errorf("the storm was none: %v", guesses)
	}
	late := slices.IndexFunc(machines.times, func(d time.Duration) bool { return d > time.Second })
	if z.long && late >= 0 && late*100 < len(machines.times)*99 {
		s.Errorf("%d of %d token requests took more than a second", len(machines.times)-late, len(machines.times))
	}
}

// recovers measures from the end of the load to the first success of each kind.
func (s *system) recovers(z size) {
	s.Helper()
	most := maxRecovery
	if !z.long {
		most *= slack
	}
	began := time.Now()
	for what, r := range map[string]func() *http.Request{
		"client_credentials": s.machine,
		"a read of cases": func() *http.Request {
			return s.request(http.MethodGet, s.cfg.CaseAPI()+"/v1/cases", nil, "Authorization", "Bearer "+s.person.Access)
		},
		"the portal": func() *http.Request { return s.request(http.MethodGet, s.cfg.Portal()+"/help", nil) },
		"sign-in":    func() *http.Request { return s.request(http.MethodGet, s.cfg.Issuer()+"/signin", nil) },
	} {
		for {
			a, err := agent.Do(newClient(1), r())
			if err == nil && a.Status < http.StatusBadRequest {
				break
			}
			if time.Since(began) > most {
				s.Errorf("%s after %v: %d %.200s (%v)", what, time.Since(began), a.Status, a.Body, err)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	s.Logf("all kinds went well again after %v", time.Since(began).Round(time.Millisecond))
}

// services are the processes, with what the names of their metrics begin with.
func (s *system) services() map[*launch.Process]string {
	return map[*launch.Process]string{s.idp: "idp", s.cases: "caseservice", s.portal: "caseservice_portal"}
}

// bounded looks at memory and at what the services counted.
func (s *system) bounded(z size) {
	s.Helper()
	for p, prefix := range s.services() {
		n := launch.Resident(p.Pid, true)
		s.Logf("%s: %d MB at its peak", p.Name, n>>20)
		if n > maxMemory {
			s.Errorf("%s took %d MB", p.Name, n>>20)
		}
		most := s.metric(p, prefix+"_connections_most")
		if most == 0 || s.metric(p, prefix+"_connections") > most {
			s.Errorf("%s has %v connections of %v", prefix, s.metric(p, prefix+"_connections"), most)
		}
		if room := s.metric(p, prefix+`_shed_total{what="room"}`); z.sockets > int(most) && prefix == "idp" && room == 0 {
			s.Errorf("%s made no room", prefix)
		}
		var told string
		for _, what := range []string{"places", "bytes", "slow", "room", "held", "full"} {
			told += fmt.Sprintf(" %s %.0f", what, s.metric(p, prefix+`_shed_total{what="`+what+`"}`))
		}
		s.Logf("%s turned away:%s", prefix, told)
		if prefix != "caseservice_portal" && s.metric(p, prefix+`_shed_total{what="held"}`) == 0 {
			s.Errorf("%s kept all bodies that do not end", prefix)
		}
	}
}
