package ui

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"ellis.example/idp/internal/i18n"
)

// mailView is a message taken apart, the same for text and HTML.
type mailView struct {
	Brand, Subject, Greeting, Text string
	Link                           *mailLink
	Facts                          []mailFact
	After                          []mailLine
	Footer                         string
}

type mailLink struct{ Label, URL string }

type mailFact struct{ Name, Value string }

type mailLine struct{ Text, URL string }

// Mail writes a message: a subject of one line, a plain text and an HTML version of the same words. Neither asks for
// anything from a network.
func (r *Renderer) Mail(lang i18n.Lang, m MailMessage) (subject, text, html string, err error) {
	if _, ok := r.mails[lang]; !ok {
		lang = i18n.English
	}
	v, err := words{lang, r.brand}.mail(m)
	if err != nil {
		return "", "", "", err
	}
	var buf bytes.Buffer
	if err := r.mails[lang].ExecuteTemplate(&buf, "mail.html", v); err != nil {
		return "", "", "", fmt.Errorf("ui: mail: %w", err)
	}
	return v.Subject, v.plain(), buf.String(), nil
}

// mail chooses the parts of a message by its type.
func (w words) mail(m MailMessage) (mailView, error) {
	base, stem := m.mailBase(), "mail."+m.MailTemplate()
	v := mailView{
		Brand: w.brand.Name, Subject: oneLine(w.text(stem + ".subject")), Greeting: w.greeting(base.GivenName),
		Footer: w.text("mail.sent_to", "Email", oneLine(base.Email), "Brand", w.brand.Name),
	}
	switch m := m.(type) {
	case MailConfirmAddress:
		v.Text = w.text(stem+".text", "Valid", m.Valid)
		v.Link = &mailLink{w.text(stem + ".button"), m.LinkURL}
		v.After = []mailLine{{Text: w.text(stem + ".after")}}
		return v, nil
	case MailAlreadyHaveAccount:
		v.Text = w.text(stem + ".text")
		v.Link = &mailLink{w.text(stem + ".button"), m.SigninURL}
		v.Facts = w.where(m.Where)
		v.After = []mailLine{{Text: w.text(stem + ".after")}, {Text: w.text("mail.never_ask")}}
		return v, nil
	}
	where, count, err := details(m)
	if err != nil {
		return v, err
	}
	v.Text = w.text(stem+".text", "Count", count)
	v.Facts = w.where(where)
	v.After = w.notYou(base)
	return v, nil
}

// details returns what a report about an account tells besides its words.
func details(m MailMessage) (where Where, count int, err error) {
	switch m := m.(type) {
	case MailPasswordChanged:
		return m.Where, 0, nil
	case MailFactorAdded:
		return m.Where, 0, nil
	case MailFactorRemoved:
		return m.Where, 0, nil
	case MailRecoveryCodeUsed:
		return m.Where, m.Left, nil
	case MailRecoveryCodesRenewed:
		return m.Where, 0, nil
	case MailNewDeviceSignIn:
		return m.Where, 0, nil
	case MailSuspiciousAttempts:
		return m.Where, m.Count, nil
	}
	return Where{}, 0, fmt.Errorf("ui: no mail %T", m)
}

func (w words) greeting(name string) string {
	if name = inert(name); name != "" {
		return w.text("mail.greeting", "Name", name)
	}
	return w.text("mail.greeting_plain")
}

func (w words) where(p Where) []mailFact {
	var facts []mailFact
	add := func(key, value string) {
		if value != "" {
			facts = append(facts, mailFact{w.text(key), value})
		}
	}
	add("mail.when", w.lang.DateTime(p.At))
	if p.UserAgent != "" {
		add("mail.browser", w.agent(p.UserAgent))
	}
	add("mail.address", oneLine(p.IP))
	return facts
}

func (w words) notYou(base MailBase) []mailLine {
	return []mailLine{
		{w.text("mail.not_you"), base.AccountURL},
		{w.text("mail.help"), base.HelpURL},
		{Text: w.text("mail.never_ask")},
	}
}

// plain writes the message as text: paragraphs with an empty line between them.
func (v mailView) plain() string {
	parts := []string{v.Greeting, v.Text}
	if v.Link != nil {
		parts = append(parts, v.Link.URL)
	}
	var facts []string
	for _, f := range v.Facts {
		facts = append(facts, f.Name+": "+f.Value)
	}
	if facts != nil {
		parts = append(parts, strings.Join(facts, "\n"))
	}
	for _, line := range v.After {
		parts = append(parts, strings.TrimSpace(line.Text+"\n"+line.URL))
	}
	return strings.Join(append(parts, "-- \n"+v.Footer), "\n\n") + "\n"
}

// maxName bounds a name in a mail, in characters.
const maxName = 60

// inert makes a name unable to be anything else in a mail: what mail programs turn into links, and what turns the
// direction of text, is gone (a stranger who signs up with somebody else's address chooses the name in the mail).
func inert(name string) string {
	var b strings.Builder
	n := 0
	for _, c := range oneLine(name) {
		if n == maxName {
			break
		}
		n++
		switch {
		case strings.ContainsRune(`:/@\<>"#&=%`, c):
			b.WriteByte(' ')
		case c == '.':
			b.WriteString(". ")
		default:
			b.WriteRune(c)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// oneLine drops line ends, other control characters and direction marks.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		switch {
		case c == '\t' || c == '\n' || c == '\r' || c == '\u2028' || c == '\u2029':
			return ' '
		case unicode.Is(unicode.Cc, c) || unicode.Is(unicode.Cf, c):
			return -1
		}
		return c
	}, s))
}
