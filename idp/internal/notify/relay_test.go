package notify_test

import (
	"errors"
	"strings"
	"testing"

	"ellis.example/idp/internal/notify"
)

func TestNewRelay_ReadsURLsAndSenders(t *testing.T) {
	t.Parallel()
	const from = "Ellis <no-reply@example.org>"
	for u, ok := range map[string]bool{
		"smtp://127.0.0.1:25": true, "smtp://localhost": true, "smtp://[::1]:2525": true, "smtps://mail.example.org": true, "smtp://mail.example.org:587": true, "smtps://user:p%40ss@mail.example.org:465": true,
		"": false, "mail.example.org": false, "mail.example.org:25": false, "http://mail.example.org": false, "smtp://": false, "smtp://:25": false, "smtp://mail.example.org:x": false, "smtp://mail.example.org:99999": false,
	} {
		if _, err := notify.NewRelay(u, from); (err == nil) != ok || (err != nil && !errors.Is(err, notify.ErrRelay)) {
			t.Errorf("%q: %v", u, err)
		}
	}
	for sender, ok := range map[string]bool{
		from: true, "no-reply@example.org": true, "": false, "Ellis": false, "a@b, c@d": false, "a@example.org\r\nBcc: b@example.org": false, "Ellis\r\n <a@example.org>": false,
	} {
		if _, err := notify.NewRelay("smtp://127.0.0.1:25", sender); (err == nil) != ok {
			t.Errorf("from %q: %v", sender, err)
		}
	}
}

// A password with a character that should have been escaped makes a URL that cannot be read; the error is shown and logged.
func TestNewRelay_NeverRepeatsThePassword(t *testing.T) {
	t.Parallel()
	for _, u := range []string{
		"smtps://user:se/cret@mail.example.org:465", "smtps://user:se%cret@mail.example.org", "smtps://user:se cret@mail.example.org",
		"smtps://user:se#cret@mail.example.org", "smtps://user:se?cret@mail.example.org", "user:se/cret@mail.example.org:465", "smtps://user:secret@mail.example.org:x", "smtps://user:12/cret@mail.example.org",
	} {
		_, err := notify.NewRelay(u, "no-reply@example.org")
		if err == nil {
			t.Errorf("took %s", u)
			continue
		}
		if text := err.Error(); strings.Contains(text, ":se") || strings.Contains(text, "cret") {
			t.Errorf("%s: %s", u, text)
		}
	}
}
