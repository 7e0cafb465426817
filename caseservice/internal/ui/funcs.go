package ui

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/i18n"
)

// funcs is what templates may call. Every text passes through here, and nothing here returns markup.
func (r *Renderer) funcs(lang i18n.Lang) template.FuncMap {
	w := words{lang, r.brand}
	return template.FuncMap{
		"t":        w.text,
		"say":      func(t Text) string { return lang.Text(t.Key, t.Args...) },
		"notice":   func(k i18n.Key) string { return lang.Text(k) },
		"lang":     func() string { return string(lang) },
		"others":   func() []language { return otherLanguages(lang) },
		"date":     lang.Date,
		"datetime": lang.DateTime,
		"local":    lang.Local,
		"moment":   func(t, submitted time.Time) string { return moment(lang, t, submitted) },
		"offset":   i18n.Offset,
		"machine":  func(t time.Time) string { return t.Format(time.RFC3339) },
		"day":      func(t time.Time) string { return t.Format(time.DateOnly) },
		"brand":    func() string { return r.brand.Name },
		"contact":  func() contact { return contactOf(r.brand.Contact) },
		"asset":    AssetPath,
		"wrong":    w.wrong,
		"anchor":   anchor,
		"problem":  w.problem,
		"signin":   w.signInProblem,
		"receipt":  Receipt,
		"code":     Code,
		"state":    func(s string) string { return w.text("appointment." + s) },
		"class":    func(s string) string { return w.class(s) },
	}
}

// moment is a date and time; of the submission only the day is known, and nothing later.
func moment(lang i18n.Lang, t, submitted time.Time) string {
	if t.Equal(submitted) {
		return lang.Date(t)
	}
	return lang.DateTime(t)
}

// words speaks one language for one brand.
type words struct {
	lang  i18n.Lang
	brand Brand
}

func (w words) text(key string, args ...any) string { return w.lang.Text(i18n.Key(key), args...) }

// wrong returns what is wrong with a field; empty: nothing.
func (w words) wrong(page Page, field string) string {
	for _, e := range page.base().Errors {
		if e.Field == field {
			return w.lang.Text(e.Key, e.Args...)
		}
	}
	return ""
}

// class names the kind of an event; a kind that is not known has no name.
func (w words) class(s string) string {
	if key := i18n.Key("class." + s); w.lang.Has(key) {
		return w.lang.Text(key)
	}
	return ""
}

// problem is what an error page says.
type problem struct{ Title, Text string }

// FaultCodes lists the public codes that the error page has particular words for.
func FaultCodes() []string {
	return []string{"form_expired", "cross_site", "host_unknown", "case_not_found", "api_forbidden", "api_too_many"}
}

// SignInCodes lists the public codes that the page about failed sign-ins has words for.
func SignInCodes() []string {
	return []string{
		"signin_expired", "signin_mismatch", "signin_denied", "signin_required", "signin_other_person", "signin_too_weak",
		"signin_config",
	}
}

// problem chooses the words of a code, else those of a status, else those of 400 or 500. Codes come from our own faults,
// never from a request.
func (w words) problem(p ErrorPage) problem {
	stem := "fault." + p.Code
	if p.Code == "" || !w.lang.Has(i18n.Key(stem+".title")) {
		stem = "status." + strconv.Itoa(p.Status)
	}
	if !w.lang.Has(i18n.Key(stem + ".title")) {
		stem = "status.500"
		if p.Status >= 400 && p.Status < 500 {
			stem = "status.400"
		}
	}
	return problem{w.text(stem + ".title"), w.text(stem + ".text")}
}

// signInProblem chooses the words for a sign-in that did not come about.
func (w words) signInProblem(p SignInProblem) problem {
	stem := "fault." + p.Code
	if !w.lang.Has(i18n.Key(stem + ".title")) {
		stem = "fault.signin_mismatch"
	}
	return problem{w.text(stem + ".title"), w.text(stem + ".text")}
}

// language is one choice of the switch.
type language struct{ Tag, Name string }

func otherLanguages(lang i18n.Lang) []language {
	var out []language
	for _, l := range []language{{"en", "English"}, {"es", "Español"}} {
		if l.Tag != string(lang) {
			out = append(out, l)
		}
	}
	return out
}

// contact is where help is to be had.
type contact struct {
	Text string
	URL  template.URL
}

// contactOf makes a link of an e-mail address or an https URL; the operator set it, nobody else.
func contactOf(s string) contact {
	if strings.Contains(s, "@") && !strings.Contains(s, "/") {
		return contact{s, template.URL("mailto:" + s)} //nolint:gosec // set by the operator
	}
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return contact{s, template.URL(s)} //nolint:gosec // set by the operator
	}
	return contact{Text: s}
}

// anchor is the id of the control that an error in the summary leads to.
func anchor(field string) string {
	if field == "" {
		return "main"
	}
	return field
}

// Receipt writes a receipt number so that it can be read out: IOE 091 234 5678. What is no receipt number stays as it is.
func Receipt(s string) string {
	if len(s) != 13 {
		return s
	}
	return s[:3] + " " + s[3:6] + " " + s[6:9] + " " + s[9:]
}

// Code writes a claim code as the notice prints it: groups of four. What is no claim code stays as it is.
func Code(s string) string {
	if len(s) != 24 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(s[i : i+4])
	}
	return b.String()
}
