package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/web"
)

// slowFeed is a feed of which each step is looked at.
type slowFeed struct {
	page feed.Page
	step func(what string)
}

func (s slowFeed) Follow(_ context.Context, a feed.Ask) (feed.Page, error) {
	s.step("read")
	if a.Wait {
		a.Waits(true)
		s.step("wait")
		a.Waits(false)
		s.step("read")
	}
	return s.page, nil
}

func (s slowFeed) Turn(context.Context, string, func(bool)) (func(), error) {
	s.step("turn")
	return nil, errNoTurn
}

var errNoTurn = errors.New("no turn")

// A poll has no place while it waits, and one while it is worked for: before, afterwards, and when it does not wait at all.
func TestPoll_TakesAPlaceUnlessItWaits(t *testing.T) {
	t.Parallel()
	reg, home := prometheus.NewRegistry(), &url.URL{Scheme: "https", Host: "id.example"}
	edge := web.NewEdge(web.Config{Issuer: home, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Load: web.NewLoad(reg, 16)})
	working := func() float64 {
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.GetName() == "idp_http_requests_in_flight" {
				return m.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	for name, c := range map[string]struct {
		wait   bool
		events []feed.Event
		steps  int
		err    error
	}{"at once": {steps: 1}, "patient": {wait: true, steps: 3}, "something happened": {wait: true, events: []feed.Event{{Kind: feed.Token}}, steps: 4, err: errNoTurn}} {
		var steps []string
		f := slowFeed{page: feed.Page{Events: c.events}, step: func(what string) {
			steps = append(steps, what)
			if want := map[bool]float64{true: 0, false: 1}[what == "wait"]; working() != want {
				t.Errorf("%s, %s: %v places are taken, want %v", name, what, working(), want)
			}
		}}
		p := &Provider{Deps: Deps{Feed: f, CountPoll: func(string) {}, ObserveDelay: func(time.Duration) {}}}
		h := edge.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := p.follow(w, r, &caller{}, &api.API{ID: "cases"}, poll{ReturnImmediately: !c.wait}); !errors.Is(err, c.err) {
				t.Errorf("%s: %v", name, err)
			}
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://id.example/events/poll", http.NoBody))
		if len(steps) != c.steps || working() != 0 {
			t.Errorf("%s: %d %s after %v", name, w.Code, w.Body, steps)
		}
	}
}
