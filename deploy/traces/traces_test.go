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
	checkSpans(t, c.all())
}

// readyz is what a private listener says of its service.
func readyz(t *testing.T, port int) string {
	t.Helper()
	return ask(t, http.MethodGet, "http://"+launch.Loopback(port)+"/readyz", "", nil)
}

// ask returns the body of an answer. basic is the credentials of a form.
func ask(t *testing.T, method, target, basic string, form url.Values) string {
	t.Helper()
	var header []string
	if form != nil {
		header = []string{"Authorization", basic}
	}
	a, err := agent.Send(t.Context(), http.DefaultClient, method, target, form, header...)
	must(t, err)
	return string(a.Body)
}

// page returns the spans of the trace that began with a page of the portal, as soon as all of them are there.
func (s *system) page(t *testing.T, c *collector, name string) (trace []span) {
	t.Helper()
	until(t, "the trace of the page through all services", func() bool {
		all := c.all()
		for _, root := range all {
			if root.service == "portal" && root.name == name && root.parent == "" && root.about["http.response.status_code"] == "200" && whole(all, root) {
				trace = slices.DeleteFunc(all, func(x span) bool { return x.trace != root.trace })
				return true
			}
		}
		return false
	})
	return trace
}

// whole reports whether a page's span has all below it that it has to: the portal asks the case API, which commits an entry of
// its ledger and asks the provider.
func whole(all []span, page span) bool {
	below := func(parents []span, service, name string, kind tracepb.Span_SpanKind) (found []span) {
		for _, x := range all {
			if x.service == service && (name == "" || x.name == name) && x.kind == kind &&
				slices.ContainsFunc(parents, func(p span) bool { return p.trace == x.trace && p.id == x.parent }) {
				found = append(found, x)
			}
		}
		return found
	}
	const server, client, internal = tracepb.Span_SPAN_KIND_SERVER, tracepb.Span_SPAN_KIND_CLIENT, tracepb.Span_SPAN_KIND_INTERNAL
	asked := below([]span{page}, "portal", "GET case-api", client)
	api := below(asked, "case-api", "", server)
	commits := below(api, "case-api", "commit", internal)
	provider := below(below(api, "case-api", "POST idp", client), "idp", "POST /introspect", server)
	return len(provider) > 0 && len(commits) > 0 && commits[0].about["db.operation.batch.size"] != "0" &&
		slices.ContainsFunc(api, func(x span) bool { return x.name == "GET /v1/cases/{id}" })
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
		for _, k := range b.Cookies(u) {
			if len(k.Value) > len("en") { // the language is no secret
				canaries["the cookie "+k.Name] = k.Value
			}
		}
	}
	for what, text := range canaries {
		if text == "" || c.holds(text) {
			t.Errorf("spans hold %s %q", what, text)
		}
	}
	if len(canaries) < 18 {
		t.Errorf("only %d things are looked for", len(canaries))
	}
}

// checkSpans looks at each span that was sent.
func checkSpans(t *testing.T, all []span) {
	t.Helper()
	told := []string{"http.request.method", "http.route", "http.response.status_code", "ellis.request", "ellis.conflict", "peer.service", "error.type", "db.operation.batch.size"}
	names := map[string]bool{}
	for _, x := range all {
		if x.trace == stranger {
			t.Errorf("a stranger's trace was joined: %+v", x)
		}
		for key := range x.about {
			if !slices.Contains(told, key) {
				t.Errorf("%s of %s tells %s", x.name, x.service, key)
			}
		}
		names[x.service+" "+x.name] = true
	}
	for _, want := range []string{"idp POST /token", "idp GET /authorize", "idp commit", "portal GET /callback", "portal POST idp", "case-api GET /v1/cases"} {
		if !names[want] {
			t.Errorf("there is no span %s: %v", want, names)
		}
	}
}

// A collector that takes connections and never answers slows nothing down, and the end of the process neither; what is lost
// is counted.
func TestTrace_ASilentCollectorSlowsNothing(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	s := newSystem(t, silent.URL)
	s.start(t, s.cfg.IDPSpec())
	machine := s.secrets.Basic("machine")
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
	if took := time.Since(began); took > 25*time.Second { // one batch alone holds the collector for five
		t.Errorf("100 tokens took %v", took)
	}
	until(t, "the lost batch is counted", func() bool {
		n, err := s.procs[launch.IDP].Metric(t.Context(), `idp_trace_spans_total{outcome="failed"}`)
		return err == nil && n > 0
	})
	if log := s.log(t, launch.IDP); !strings.Contains(log, "the collector takes no spans") {
		t.Error("nobody is told that the collector takes no spans")
	}
	began = time.Now()
	if err := s.procs[launch.IDP].End(); err != nil || time.Since(began) > 12*time.Second {
		t.Errorf("it ended after %v: %v", time.Since(began), err)
	}
}
