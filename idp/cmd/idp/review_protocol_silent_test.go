package main

import (
	"testing"
	"time"

	"ellis.example/idp/internal/session"
)

func TestPromptNone_DoesNotKeepASessionAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	b.authorize(request("web")).answer(appURI) // the person comes by
	const step = 4 * time.Minute
	for since := step; since < session.IdleTimeout; since += step {
		w.clock.Advance(step)
		b.silent("while somebody may be there", request("web", "prompt", "none"))
	}
	w.clock.Advance(step)
	b.refusal("15 minutes after anybody was seen", request("web", "prompt", "none"), "login_required")
	if b.isIn() {
		t.Error("the account is open")
	}
}

func TestPromptNone_StillDependsOnASessionThatHasNotEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.withConsent(ana)
	for range 3 { // who goes to an app is there
		w.clock.Advance(session.IdleTimeout - time.Minute)
		b.authorize(request("web")).answer(appURI)
	}
	b.silent("asked again and again", request("web", "prompt", "none"))
	b.logOut()
	b.refusal("signed out", request("web", "prompt", "none"), "login_required")
}
