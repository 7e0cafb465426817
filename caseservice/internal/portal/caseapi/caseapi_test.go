package caseapi_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/portal/caseapi"
)

func TestParseChallenge(t *testing.T) {
	t.Parallel()
	age := func(d time.Duration) *time.Duration { return &d }
	for header, want := range map[string]caseapi.Challenge{
		`Bearer error="insufficient_user_authentication", acr_values="a b", max_age="300"`:                        {Error: "insufficient_user_authentication", ACR: []string{"a", "b"}, MaxAge: age(5 * time.Minute)},
		`bearer realm="x",error=insufficient_user_authentication,max_age=0`:                                       {Error: "insufficient_user_authentication", MaxAge: age(0)},
		`Bearer ERROR="invalid_token", error_description="say \"no\", then \\ go", resource_metadata="https://x"`: {Error: "invalid_token"},
		`Bearer`:                               {},
		``:                                     {},
		`DPoP error="x"`:                       {},
		`Bearer error="x", error="y"`:          {},
		`Bearer error="x`:                      {},
		`Bearer error="x\`:                     {},
		`Bearer ="x"`:                          {},
		`Bearer error`:                         {},
		`Bearer error=`:                        {},
		`Bearer error="x", max_age="-1"`:       {},
		`Bearer error="x", max_age="1e3"`:      {},
		`Bearer error="x", max_age=9999999999`: {},
		`Bearer error="x", acr_values="` + strings.Repeat("a ", 9) + `"`:  {},
		`Bearer error="x", acr_values="` + strings.Repeat("a", 129) + `"`: {},
		`Bearer error="x", y="` + strings.Repeat("a", 5000) + `"`:         {},
	} {
		got := caseapi.ParseChallenge(header)
		if got.Error != want.Error || !slices.Equal(got.ACR, want.ACR) || !reflect.DeepEqual(got.MaxAge, want.MaxAge) {
			t.Errorf("%.80q: %+v", header, got)
		}
	}
	if (caseapi.Challenge{Error: "insufficient_user_authentication"}).StepUp() {
		t.Error("a challenge that asks for nothing is a step-up")
	}
}

func FuzzParseChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_user_authentication", acr_values="a b", max_age="300"`)
	f.Add(`Bearer a="\"", b=c,, d="`)
	f.Fuzz(func(t *testing.T, s string) {
		c := caseapi.ParseChallenge(s)
		if len(c.ACR) > 8 || c.MaxAge != nil && (*c.MaxAge < 0 || *c.MaxAge > time.Duration(1<<31)*time.Second) {
			t.Fatalf("%+v", c)
		}
		for _, a := range c.ACR {
			if a == "" || len(a) > 128 {
				t.Fatalf("%q", a)
			}
		}
	})
}

func TestClient_SendsTheTokenToOneAddressAlone(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked with %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	asked := ""
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Authorization") + " " + r.URL.String()
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(api.Close)
	c := caseapi.New(api.URL+"/", nil)
	if _, err := c.Cases(t.Context(), "token", "a&b=c"); err == nil {
		t.Error("a redirect is an answer")
	}
	if asked != "Bearer token /v1/cases?cursor=a%26b%3Dc&limit=100" {
		t.Error(asked)
	}
	asked = ""
	for _, id := range []string{"", "..", "x", "cas_", "cas_../../x", "cas_0000000000000000000000000?", "evt_00000000000000000000000000"} {
		if _, err := c.Case(t.Context(), "token", id); err == nil {
			t.Errorf("%q is a case", id)
		}
		if _, err := c.Events(t.Context(), "token", id); err == nil {
			t.Errorf("%q has events", id)
		}
	}
	if asked != "" {
		t.Errorf("the API was asked %q", asked)
	}
}

func TestClient_RemembersWhetherItWasAnswered(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"items":[]}`))
	}))
	c := caseapi.New(api.URL, nil)
	for _, step := range []struct {
		status int
		want   bool
	}{{200, true}, {503, false}, {200, true}, {404, true}, {500, false}, {200, true}} {
		status = step.status
		_, _ = c.Cases(t.Context(), "t", "")
		if c.Reachable() != step.want {
			t.Errorf("after %d: %v", step.status, c.Reachable())
		}
	}
	api.Close()
	_, err := c.Cases(t.Context(), "t", "")
	if err == nil || c.Reachable() {
		t.Error("nobody answered, and it is reachable")
	}
}
