package traces

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

const stranger = "4bf92f3577b34da6a3ce929d0e0e4736" // the trace of somebody who is not asked

// One page of the portal is one trace through portal, case API and provider, and no span of it or of the sign-in before says
// who somebody is, what they asked for or what lets them in.
func TestTrace_IsOneThroughAllServicesAndSaysNothing(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := newSystem(t, c.url)
	who := seed.Somebody(7)
	must(t, seed.CreateAccount(t.Context(), s.cfg, who))
	cases, err := seed.ImportCases(t.Context(), s.cfg, `{"form":"I-765","submitted":"2026-01-05","events":[{"code":"received","at":"2026-01-10T12:00:00Z"}]}`+"\n")
	must(t, err)
	must(t, seed.AssignCases(t.Context(), s.cfg, who.Email, cases[0].Receipt))
	s.start(t, s.cfg.IDPSpec(), s.cfg.CaseAPISpec(), s.cfg.PortalSpec(portalClient))

	b := browse{agent.New(), t}
	b.Header.Set("Traceparent", "00-"+stranger+"-00f067aa0ba902b7-01")
	b.Header.Set("Tracestate", "ellis=AAAAAAAAAAAAAAAAAAAAAA")
	b.signIn(s.cfg, who)
	s.silent.Store(true) // so that the case API has to ask the provider about the token
	until(t, "the feed is silent for too long", func() bool { return strings.Contains(readyz(t, s.cfg.Ports.CaseAPIPrivate), "revocation feed") })
	b.must(b.Get(t.Context(), "/cases/"+cases[0].ID))
	if b.Page.Status != http.StatusOK || !strings.Contains(strings.ReplaceAll(b.Page.Text, " ", ""), cases[0].Receipt) {
		t.Fatalf("the case at %s: %d %s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
	page := s.page(t, c, "GET /cases/{id}")
	for _, line := range [][2]string{{launch.Portal, "portal"}, {launch.CaseService, "case-api"}, {launch.IDP, "idp"}} {
		s.checkLog(t, line[0], page, line[1])
	}
	for _, p := range []string{launch.Portal, launch.CaseService, launch.IDP} {
		must(t, s.procs[p].End())
	}
	s.checkCanaries(t, c, b, who, cases[0])
}

// readyz is what a private listener says of its service.
func readyz(t *testing.T, port int) string {
	t.Helper()
	return ask(t, http.MethodGet, "http://"+launch.Loopback(port)+"/readyz", "", nil)
}

func ask(t *testing.T, method, target, basic string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	must(t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", basic)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	return string(text)
}

// page returns the spans of the trace that began with a page of the portal, after it looked at how they hang together.
func (s *system) page(t *testing.T, c *collector, name string) []span {
	t.Helper()
	var trace []span
	has := func(service, name string, kind tracepb.Span_SpanKind, below ...string) (found *span) {
		for i, x := range trace {
			if x.service == service && x.name == name && x.kind == kind && (len(below) == 0 || slices.Contains(below, x.parent)) {
				found = &trace[i]
			}
		}
		return found
	}
	const server, client = tracepb.Span_SPAN_KIND_SERVER, tracepb.Span_SPAN_KIND_CLIENT
	until(t, "the trace of the page", func() bool {
		trace = nil
		for _, x := range c.all() {
			if x.service == "portal" && x.name == name && x.about["http.response.status_code"] == "200" {
				for _, y := range c.all() {
					if y.trace == x.trace {
						trace = append(trace, y)
					}
				}
			}
		}
		root := has("portal", name, server, "")
		if root == nil {
			return false
		}
		toAPI := has("portal", "GET case-api", client, root.id)
		if toAPI == nil {
			return false
		}
		below := []string{}
		for _, x := range trace {
			if x.service == "portal" && x.name == "GET case-api" {
				below = append(below, x.id)
			}
		}
		api := has("case-api", "GET /v1/cases/{id}", server, below...)
		if api == nil {
			return false
		}
		for _, x := range trace {
			if x.service == "case-api" && x.kind == server {
				below = append(below, x.id)
			}
		}
		commit, asks := has("case-api", "commit", tracepb.Span_SPAN_KIND_INTERNAL, below...), has("case-api", "POST idp", client, below...)
		return commit != nil && asks != nil && commit.about["db.operation.batch.size"] != "0" && has("idp", "POST /introspect", server, asks.id) != nil
	})
	return trace
}

// checkLog looks for the line that a service wrote about its part of a trace, by which its support code leads there.
func (s *system) checkLog(t *testing.T, process string, trace []span, service string) {
	t.Helper()
	for _, x := range trace {
		if x.service != service || x.kind != tracepb.Span_SPAN_KIND_SERVER {
			continue
		}
		found := false
		for _, text := range strings.Split(s.log(t, process), "\n") {
			var line struct {
				Request, Route string
				Trace          string `json:"trace_id"`
				Span           string `json:"span_id"`
			}
			found = found || json.Unmarshal([]byte(text), &line) == nil && line.Trace == x.trace && line.Span == x.id && line.Request != "" && line.Request == x.about["ellis.request"] && line.Route == x.about["http.route"]
		}
		if !found {
			t.Errorf("%s wrote no line about its span %+v", process, x)
		}
	}
}

// checkCanaries looks at everything that was sent for what must not be in it.
func (s *system) checkCanaries(t *testing.T, c *collector, b browse, who seed.Account, known seed.Case) {
	t.Helper()
	var shown struct{ Subject string }
	must(t, seed.Ask(t.Context(), s.cfg, &shown, s.cfg.IDP, "user", "show", who.Email, "--api", "cases", "--json"))
	canaries := map[string]string{
		"the address": who.Email, "the name": who.Family, "the password": who.Password, "the receipt number": known.Receipt, "the case": known.ID, "the subject": shown.Subject,
		"a token": "eyJ", "a code": "eac_", "a refresh token": "ert_", "a query": "state=", "a path": "/cases/cas_", "an account": "acc_", "the address of a client": "127.0.0.1",
	}
	for name, secret := range s.secrets {
		canaries["the secret of "+name] = secret
	}
	for _, at := range []string{s.cfg.Portal(), s.cfg.Issuer()} {
		u, err := url.Parse(at)
		must(t, err)
		cookies := b.Cookies(u)
		if len(cookies) == 0 {
			t.Errorf("no cookies of %s", at)
		}
		for _, k := range cookies {
			canaries["the cookie "+k.Name] = k.Value
		}
	}
	for what, text := range canaries {
		if len(text) > 2 && c.holds(text) {
			t.Errorf("spans hold %s", what)
		}
	}
	told := []string{"http.request.method", "http.route", "http.response.status_code", "ellis.request", "ellis.conflict", "peer.service", "error.type", "db.operation.batch.size"}
	routes := map[string]bool{}
	for _, x := range c.all() {
		if x.trace == stranger {
			t.Errorf("a stranger's trace was joined: %+v", x)
		}
		for key := range x.about {
			if !slices.Contains(told, key) {
				t.Errorf("%s of %s tells %s", x.name, x.service, key)
			}
		}
		routes[x.service+" "+x.name] = true
	}
	for _, want := range []string{"idp POST /token", "idp GET /authorize", "idp commit", "portal GET /callback", "portal POST idp", "case-api GET /v1/cases"} {
		if !routes[want] {
			t.Errorf("there is no span %s: %v", want, routes)
		}
	}
}

// A collector that takes connections and never answers slows nothing down, and the end of the process neither; what is lost
// is counted.
func TestTrace_ASilentCollectorSlowsNothing(t *testing.T) {
	t.Parallel()
	held := make(chan struct{})
	asked := make(chan struct{}, 100)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(held) })
	s := newSystem(t, silent.URL)
	s.start(t, s.cfg.IDPSpec())
	machine := seed.Clients(s.secrets).Basic("machine")
	token := func() bool {
		return strings.Contains(ask(t, http.MethodPost, s.cfg.Issuer()+"/token", machine, seed.ForMachine()), `"access_token"`)
	}
	if !token() {
		t.Fatal("no token")
	}
	<-asked // a batch hangs there from now on, for five seconds
	began := time.Now()
	for range 100 {
		if !token() {
			t.Fatal("no token while the collector is silent")
		}
	}
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("100 tokens took %v", took)
	}
	metrics := "http://" + launch.Loopback(s.cfg.Ports.IDPPrivate) + "/metrics"
	until(t, "the lost batch is counted", func() bool {
		return strings.Contains(ask(t, http.MethodGet, metrics, "", nil), `idp_trace_spans_total{outcome="failed"}`)
	})
	if log := s.log(t, launch.IDP); !strings.Contains(log, "the collector takes no spans") {
		t.Error("nobody is told that the collector takes no spans")
	}
	began = time.Now()
	if err := s.procs[launch.IDP].End(); err != nil || time.Since(began) > 12*time.Second {
		t.Errorf("it ended after %v: %v", time.Since(began), err)
	}
}
