package notify_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/notify"
)

// A log tells why a mail waits and whose it is, and never an address: neither the library's text nor the relay's.
func TestDeliver_LogsCodesAndNoAddresses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"550 5.1.1 <ana@example.org>: no such person": {`"stage":"rcpt_to"`, `"code":550`},
		"451 4.7.1 greylisted ana@example.org":        {`"stage":"rcpt_to"`, `"code":451`},
		"":                                            {`"stage":"connect"`, `"cause":"dial_failed"`},
	} {
		addr := "127.0.0.1:1"
		if line != "" {
			r := newRelay(t)
			r.refuse.Store(line)
			addr = r.addr
		}
		p := newPost(t, addr)
		var out bytes.Buffer
		p.Log = slog.New(slog.NewJSONHandler(&out, nil))
		m := p.queue(t, time.Hour)
		p.once(t, 1)
		if s := out.String(); strings.Contains(s, "@") || strings.Contains(s, "ana") || strings.Contains(s, "example.org") || strings.Contains(s, "no such person") {
			t.Errorf("%q: the log tells %s", line, s)
		}
		for _, w := range append(want, m.ID, `"acc_1"`) {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%q: no %s in %s", line, w, out.String())
			}
		}
	}
}

// A relay that refuses everybody, or the password of the provider, repeats no name of it either.
func TestDeliver_LogsNoNameOfTheRelaysUser(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := newPost(t, r.addr)
	var err error
	if p.Relay, err = notify.NewRelay("smtp://mailer%40example.net:secret-password@"+r.addr, "Ellis <no-reply@example.org>"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p.Log = slog.New(slog.NewJSONHandler(&out, nil))
	p.queue(t, time.Hour)
	p.once(t, 1)
	if s := out.String(); !strings.Contains(s, `"stage":"connect"`) || strings.Contains(s, "mailer") || strings.Contains(s, "secret-password") || strings.Contains(s, "@") {
		t.Errorf("the log tells %s", s)
	}
}
