package e2e

import (
	"strings"
	"testing"
)

// TestMailbox_LeadsToTheLinkOfASignUp reads the mail of a sign-up where people of the demo read it, and goes on from there.
func TestMailbox_LeadsToTheLinkOfASignUp(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "es"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g, p := newGallery(t, mailboxPages, lang), newPerson(t, lang)
			v := g.v
			v.Open(demo.Mailbox + "/?to=" + p.Email)
			g.sight("list-empty")
			v.Open(demo.Issuer + "/signup")
			g.speak()
			v.Submit("", map[string]string{"email": p.Email})
			m := mail(t, p.Email, 0)
			v.Open(demo.Mailbox + "/?to=" + p.Email)
			g.sight("list")
			v.Follow(m.Subject)
			g.sight("mail")
			link := m.link(t, "/signup/continue")
			if !strings.Contains(v.HTML(), "/html") || !strings.Contains(v.Text(), "/signup/continue") {
				t.Errorf("the mail is shown as %s", short(v.Text()))
			}
			v.Follow(link)
			at(t, v, "/signup/continue")
			if got := eval[string](v, `document.documentElement.lang`); got != lang {
				t.Errorf("the mail was read in %s, and the page speaks %s", lang, got)
			}
			v.Submit("/signup/continue", nil)
			at(t, v, "/signup/details")
		})
	}
}
