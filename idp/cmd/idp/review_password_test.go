package main

import (
	"net/http"
	"testing"
)

// A password of the words that stand for this provider is refused, whatever its operator calls it and wherever it runs.
func TestPassword_IsNotMadeOfTheProvidersNameOrHost(t *testing.T) {
	t.Parallel()
	at := ""
	w := newPeople(t, func(s *settings) {
		s.name = "Harbour Lights Sign-In"
		host := *s.issuer
		host.Host = "localhost:" + host.Port()
		s.issuer, at = &host, host.String()
	})
	w.issuer = at
	b := w.browser()
	details := w.prove(b, "mia@example.org")
	for _, pw := range []string{"harbourlights2026", "Harbour Lights 1", "localhost-localhost-8080", "harbour localhost lights"} {
		details = details.submit(peopleDetails("password", pw)...)
		w.shows(pw, details, http.StatusUnprocessableEntity, "the name of this service")
	}
	if details = details.submit(peopleDetails("password", "harbour seals sing at noon")...); details.status != http.StatusOK || details.url.Path == "/signup/details" {
		t.Errorf("one word of it among others: %d at %s: %s", details.status, details.url.Path, details.text())
	}
}

func TestPassword_ChangeKnowsTheProvidersName(t *testing.T) {
	t.Parallel()
	w := newPeople(t, func(s *settings) { s.name = "Harbour Lights Sign-In" })
	p := w.signedIn(ana).get("/account/password")
	w.shows("change", p.submit("current_password", pass, "new_password", "harbourlights2026"), http.StatusUnprocessableEntity, "the name of this service")
}
