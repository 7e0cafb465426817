package ui_test

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/ui/uitest"
)

func TestMail_SaysTheSameInTextAndMarkupAndLoadsNothing(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	for _, lang := range i18n.Languages() {
		for _, m := range uitest.Mails() {
			t.Run(string(lang)+"/"+m.MailTemplate(), func(t *testing.T) {
				subject, text, markup, err := r.Mail(lang, m)
				if err != nil {
					t.Fatal(err)
				}
				if subject == "" || strings.ContainsAny(subject, "\r\n") || keyLike.MatchString(subject+text) || strings.Contains(text, "{{") {
					t.Errorf("subject %q, text %q", subject, text)
				}
				doc, err := html.Parse(strings.NewReader(markup))
				if err != nil {
					t.Fatal(err)
				}
				body := content(elements(doc, "body")[0])
				for _, paragraph := range strings.Split(text, "\n") {
					if p := strings.TrimPrefix(strings.TrimSpace(paragraph), "--"); !strings.Contains(strings.ReplaceAll(body, " ", ""), strings.ReplaceAll(strings.ReplaceAll(p, ": ", ""), " ", "")) && !factLine.MatchString(p) {
						t.Errorf("markup lacks %q", p)
					}
				}
				checkMailMarkup(t, doc)
			})
		}
	}
}

var factLine = regexp.MustCompile(`^[\pL ]+: `)

// checkMailMarkup refuses whatever a mail program would fetch or run.
func checkMailMarkup(t *testing.T, doc *html.Node) {
	t.Helper()
	for _, n := range elements(doc, "") {
		switch n.Data {
		case "img", "link", "script", "iframe", "style", "object", "form":
			t.Errorf("<%s>", n.Data)
		case "a":
			if href, _ := attr(n, "href"); !strings.HasPrefix(href, "https://id.example/") {
				t.Errorf("link to %q", href)
			}
		}
		if style, _ := attr(n, "style"); strings.Contains(style, "url(") {
			t.Errorf("style %q", style)
		}
	}
}

func TestMail_NamesAreInert(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, want string }{
		{"Ana María", "Hello Ana María,"},
		{"J.R. O'Neil-Smith", "Hello J. R. O'Neil-Smith,"},
		{"http://evil.example/x", "Hello http evil. example x,"},
		{"Ana\r\nBcc: a@b.c", "Hello Ana Bcc a b. c,"},
		{"\u202eanA", "Hello anA,"},
		{"<b>Ana</b>", "Hello b Ana b,"},
		{strings.Repeat("é", 200), "Hello " + strings.Repeat("é", 60) + ","},
		{" \t", "Hello,"},
	}
	r := renderer(t)
	for _, c := range cases {
		m := ui.MailPasswordChanged{MailBase: ui.MailBase{GivenName: c.name, Email: "a@b.example\r\nBcc: x"}}
		subject, text, markup, err := r.Mail(i18n.English, m)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(text, "\n"); first != c.want {
			t.Errorf("%q: %q, want %q", c.name, first, c.want)
		}
		if strings.Contains(markup, "<b>") || strings.ContainsAny(subject, "\r\n") || strings.Contains(text, "\nBcc") {
			t.Errorf("%q is not inert", c.name)
		}
	}
}

func FuzzMail_GreetingStaysOneHarmlessLine(f *testing.F) {
	for _, s := range []string{"Ana", "a.b", "http://x.y", "\x00\u202e\u2028\n", "<script>", "\xff\xfe"} {
		f.Add(s)
	}
	r, err := ui.New(ui.Brand{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_, text, _, err := r.Mail(i18n.English, ui.MailFactorAdded{MailBase: ui.MailBase{GivenName: name}})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(text, "\n")
		if !strings.HasPrefix(lines[0], "Hello") || lines[1] != "" || strings.ContainsAny(lines[0], ":/@<>\\\r\x00") {
			t.Errorf("%q became %q", name, lines[0])
		}
	})
}

// A page that nobody looked at before is made from what mails are made from, too: having sent one takes nothing away.
func TestRender_MakesPagesAfterMails(t *testing.T) {
	t.Parallel()
	r, err := ui.New(ui.Brand{})
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range i18n.Languages() {
		if _, _, _, err := r.Mail(lang, uitest.Mails()[0]); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Render(io.Discard, lang, uitest.Pages()[0]); err != nil {
				t.Errorf("%s: %v", lang, err)
			}
		}
	}
}
