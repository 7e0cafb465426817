package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/feed"
)

// gone demands 401 invalid_token that says why, and no data.
func (s *service) gone(path, token string) {
	s.t.Helper()
	a := s.get(path, token)
	want := `Bearer error="invalid_token", error_description="the access token was revoked", ` + resourceMetadata
	if a.status != http.StatusUnauthorized || a.code() != "invalid_token" || a.challenge() != want {
		s.t.Errorf("%s: %d %s\n%s", path, a.status, a.challenge(), a.body)
	}
}

// revokedIn lets the issuer revoke something, and waits until the token is refused.
func (s *service) revokedIn(kind, id, path, token string) {
	s.t.Helper()
	s.issuer.Revoke(kind, id)
	eventually(s.t, kind+" has an effect", func() bool { return s.get(path, token).status == http.StatusUnauthorized })
	s.gone(path, token)
}

func TestRevoked_EachWayEndsARememberedTokenAndANewOne(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	path := "/v1/cases/" + c.Case.ID
	for kind, member := range map[string]string{
		issuertest.SessionRevoked: "sid", issuertest.GrantRevoked: "txn", issuertest.TokenRevoked: "jti",
	} {
		claims := s.issuer.Person("p1", read).With(member, "x-"+member)
		seen, unseen := s.issuer.Sign(claims), s.issuer.Sign(claims.With("acr", nil))
		if a := s.get(path, seen); a.status != http.StatusOK {
			t.Fatal(a.status)
		}
		s.revokedIn(kind, "x-"+member, path, seen)
		s.gone(path, unseen)
		if a := s.get(path, s.person("p1", read)); a.status != http.StatusOK {
			t.Errorf("%s of another: %d", kind, a.status)
		}
	}
	token := s.person("p1", read)
	s.revokedIn(issuertest.AccountDisabled, "p1", path, token)
	s.issuer.Clock.Advance(time.Second)
	if a := s.get(path, s.person("p1", read)); a.status != http.StatusOK {
		t.Errorf("issued afterwards: %d", a.status)
	}
	token = s.person("p1", read)
	s.revokedIn(issuertest.EpochRaised, "2", path, token)
	s.issuer.Clock.Advance(time.Second)
	token = s.person("p1", read)
	old := s.issuer.Key().KeyID
	s.issuer.Rotate("EdDSA")
	s.revokedIn(issuertest.KeyRevoked, old, path, token)
	if a := s.get(path, s.person("p1", read)); a.status != http.StatusOK {
		t.Errorf("by the new key: %d", a.status)
	}
}

// Whatever the issuer ends opens nothing at any route, remembered or not, and nobody else loses anything.
func TestAttack_B32_WhatTheIssuerEndedOpensNothingAtAnyRoute(t *testing.T) {
	t.Parallel()
	s := newService(t)
	unclaimed, bystander := s.seed(100, ""), s.person("bystander", "cases:read")
	for i, kind := range []string{issuertest.SessionRevoked, issuertest.GrantRevoked, issuertest.TokenRevoked, issuertest.AccountDisabled, issuertest.EpochRaised} {
		sub := fmt.Sprint("p", i)
		c := s.seed(i+1, sub)
		claims := s.issuer.Person(sub, "cases:read cases:claim").With("sid", "sid-"+sub).With("txn", "txn-"+sub).With("jti", "jti-"+sub)
		seen, unseen := s.issuer.Sign(claims), s.issuer.Sign(claims.With("acr", nil))
		paths := []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/v1/cases/" + c.Case.ID + "/events"}
		for _, path := range paths {
			if a := s.get(path, seen); a.status != http.StatusOK {
				t.Fatalf("%s: %d", path, a.status)
			}
		}
		ref := map[string]string{
			issuertest.SessionRevoked: "sid-" + sub, issuertest.GrantRevoked: "txn-" + sub, issuertest.TokenRevoked: "jti-" + sub, issuertest.AccountDisabled: sub, issuertest.EpochRaised: "2",
		}[kind]
		s.revokedIn(kind, ref, "/v1/cases", seen)
		for _, token := range []string{seen, unseen} {
			for _, path := range append(paths, "/v1/stats", "/v1/cases/cas_unknown") {
				s.gone(path, token)
			}
			if a := s.claim(token, "k-00000001", unclaimed); a.code() != "invalid_token" || a.status != http.StatusUnauthorized {
				t.Errorf("%s: claim: %d %s", kind, a.status, a.body)
			}
		}
		if a := s.get("/v1/cases", bystander); (a.status == http.StatusOK) == (kind == issuertest.EpochRaised) {
			t.Errorf("%s: somebody else's token: %d", kind, a.status)
		}
	}
}

func TestAttack_B32_AMachineThatTheIssuerDisabledOpensNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	machine := s.issuer.Sign(s.issuer.Machine("batch", "cases:stats").With("txn", "txn-batch"))
	if a := s.get("/v1/stats", machine); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	s.revokedIn(issuertest.GrantRevoked, "txn-batch", "/v1/stats", machine)
	claims := s.issuer.Machine("robot", "cases:stats") // of a replica of the issuer whose clock is ahead of the others'
	machine = s.issuer.Sign(claims.With("iat", claims["iat"].(int64)+5))
	if a := s.get("/v1/stats", machine); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	s.revokedIn(issuertest.AccountDisabled, "robot", "/v1/stats", machine)
}

func TestAttack_D10_ATokenOfAnEndedSessionIsRefusedWithinASecond(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	token := s.issuer.Sign(s.issuer.Person("p1", read).With("sid", "sid-ends"))
	if a := s.get("/v1/cases", token); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	began := time.Now()
	s.revokedIn(issuertest.SessionRevoked, "sid-ends", "/v1/cases", token)
	if took := time.Since(began); took > time.Second {
		t.Errorf("after %v", took)
	}
}

func TestRevoked_WhenNobodyCanTellItIsA503ThatSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.seed(1, "p1")
	token := s.person("p1", read)
	if a := s.get("/v1/cases", token); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	silent := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	s.issuer.Fault(silent)
	eventually(t, "the feed fails", func() bool { return strings.Contains(s.log.String(), "could not be followed") })
	if a := s.get("/v1/cases", token); a.status != http.StatusOK {
		t.Errorf("within the patience: %d", a.status)
	}
	s.issuer.Clock.Advance(feed.DefaultPatience + time.Second)
	for _, one := range []string{token, s.person("p1", read)} { // remembered, and new
		if a := s.get("/v1/cases", one); a.status != http.StatusServiceUnavailable || a.code() != "revocation_unknown" || a.header.Get("Retry-After") != "1" || a.challenge() != "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	s.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/events/poll" && silent(w, r) })
	if a := s.get("/v1/cases", token); a.status != http.StatusOK { // the issuer tells about the very token
		t.Errorf("%d %s", a.status, a.body)
	}
	other := s.issuer.Person("p1", read)
	s.issuer.Deactivate(other["jti"])
	s.gone("/v1/cases", s.issuer.Sign(other))
	s.issuer.Fault(nil)
	eventually(t, "fresh again", s.feed.Fresh)
}

func TestRevoked_ARefusalLeavesNoEntryAndNoData(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.issuer.Sign(s.issuer.Person("p1", read).With("jti", "jti-x"))
	s.revokedIn(issuertest.TokenRevoked, "jti-x", "/v1/cases", token)
	a := s.get("/v1/cases/"+c.Case.ID, token) // get itself looks for entries
	if strings.Contains(string(a.body), string(c.Case.Receipt)) || !strings.Contains(s.log.String(), "the access token was revoked") {
		t.Errorf("%s", a.body)
	}
}
