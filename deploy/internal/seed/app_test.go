package seed_test

import (
	"net/url"
	"testing"

	"ellis.example/deploy/internal/seed"
)

// asked is an attempt with the state of its request.
func asked(t *testing.T) (a seed.Attempt, state string) {
	t.Helper()
	a = seed.NewAttempt()
	u, err := url.Parse(a.Target("none"))
	if err != nil || u.Query().Get("prompt") != "none" || u.Query().Get("state") == "" {
		t.Fatalf("%s, %v", u, err)
	}
	return a, u.Query().Get("state")
}

func TestAttempt_TakesItsOwnAnswerAlone(t *testing.T) {
	t.Parallel()
	a, state := asked(t)
	if code, err := a.Code(seed.Redirect + "?code=c&state=" + state); err != nil || code != "c" {
		t.Errorf("%q, %v", code, err)
	}
	for _, bad := range []string{seed.Redirect + "?code=c&state=other", seed.Redirect + "?state=" + state, "/signin?flow=f", "http://evil.example/?code=c&state=" + state} {
		if _, _, err := a.Response(bad); err == nil {
			t.Errorf("took %s", bad)
		}
	}
}

func TestAttempt_TellsARefusalFromACode(t *testing.T) {
	t.Parallel()
	a, state := asked(t)
	location := seed.Redirect + "?error=access_denied&state=" + state
	if code, refused, err := a.Response(location); err != nil || code != "" || refused != "access_denied" {
		t.Errorf("%q, %q, %v", code, refused, err)
	}
	if code, err := a.Code(location); err == nil {
		t.Errorf("took %q from a refusal", code)
	}
}

func TestReadTokens_WantsAllThatAreDue(t *testing.T) {
	t.Parallel()
	for body, due := range map[string]struct{ machine, person bool }{
		`{"access_token":"a","refresh_token":"r","id_token":"i"}`: {true, true},
		`{"access_token":"a","refresh_token":"r"}`:                {true, false},
		`{"refresh_token":"r","id_token":"i"}`:                    {},
		`{"error":"invalid_grant"}`:                               {},
		`nothing`:                                                 {},
	} {
		_, err1 := seed.ReadTokens([]byte(body), false)
		_, err2 := seed.ReadTokens([]byte(body), true)
		if (err1 == nil) != due.machine || (err2 == nil) != due.person {
			t.Errorf("%s: %v, %v", body, err1, err2)
		}
	}
}
