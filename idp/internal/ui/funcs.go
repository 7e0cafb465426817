package ui

import (
	"html/template"
	"net/url"
	"strings"
	"time"

	"ellis.example/idp/internal/i18n"
)

// funcs is what templates may call. Every text passes through here, and nothing here returns markup but qr.
func (r *Renderer) funcs(lang i18n.Lang) template.FuncMap {
	w := words{lang, r.brand}
	return template.FuncMap{
		"t":         w.text,
		"say":       w.say,
		"lang":      func() string { return string(lang) },
		"others":    func() []language { return otherLanguages(lang) },
		"languages": languages,
		"date":      lang.Date,
		"datetime":  lang.DateTime,
		"machine":   machineTime,
		"months":    func() []option { return months(lang) },
		"countries": lang.Countries,
		"dayFirst":  func() bool { return lang == i18n.Spanish },
		"brand":     func() string { return r.brand.Name },
		"contact":   func() contact { return contactOf(r.brand.Contact) },
		"asset":     AssetPath,
		"input":     w.input,
		"password":  w.newPassword,
		"wrong":     w.wrong,
		"anchor":    anchor,
		"agent":     w.agent,
		"scope":     w.scope,
		"groups":    groupsOf,
		"account":   func(a *SignedIn, page Page) menu { return menu{a, page.Template()} },
		"menuItems": menuItems,
		"activity":  w.activity,
		"problem":   w.problem,
		"qr":        qrCode,
		"four":      inFours,
		"download":  w.download,
		"appURL":    appURL,
		"person":    func(p PersonFields, page Page) personView { return personView{p, page} },
		"same":      func(a, b string) bool { return strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0") },
	}
}

// words speaks one language for one brand.
type words struct {
	lang  i18n.Lang
	brand Brand
}

func (w words) text(key string, args ...any) string { return w.lang.Text(i18n.Key(key), args...) }

func (w words) say(t Text) string { return w.lang.Text(t.Key, t.Args...) }

// scope returns what a permission opens: the API's own words, else the catalogue's, else its bare name.
func (w words) scope(s ScopeWords) string {
	if s.Words != "" {
		return s.Words
	}
	if key := i18n.Key("scope." + s.Name); w.lang.Has(key) {
		return w.lang.Text(key)
	}
	return s.Name
}

// language is one choice of the switch.
type language struct{ Tag, Name string }

func languages() []language { return []language{{"en", "English"}, {"es", "Español"}} }

func otherLanguages(lang i18n.Lang) []language {
	var out []language
	for _, l := range languages() {
		if l.Tag != string(lang) {
			out = append(out, l)
		}
	}
	return out
}

// option is one choice of a select.
type option struct{ Value, Name string }

func months(lang i18n.Lang) []option {
	var out []option
	for m := time.January; m <= time.December; m++ {
		name := lang.Text(i18n.MonthKey(m))
		out = append(out, option{itoa(int(m)), strings.ToUpper(name[:1]) + name[1:]})
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
		return contact{s, template.URL("mailto:" + s)} //nolint:gosec // the operator set it
	}
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
		return contact{s, template.URL(s)} //nolint:gosec // the operator set it
	}
	return contact{Text: s}
}

// machineTime is the value of <time datetime>.
func machineTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// anchor is the id of the control that an error in the summary leads to.
func anchor(field string) string {
	switch field {
	case "":
		return "main"
	case "birth_date":
		return "birth_month"
	case "locale":
		return "locale-en"
	}
	return field
}

// menu is the account menu as one page sees it.
type menu struct {
	*SignedIn
	Current string
}

// menuItem is a line of the account menu.
type menuItem struct{ Template, URL, Key string }

func menuItems() []menuItem {
	return []menuItem{
		{"account_home", "/account", "menu.home"},
		{"profile", "/account/profile", "menu.profile"},
		{"change_password", "/account/password", "menu.password"},
		{"factors", "/account/factors", "menu.factors"},
		{"sessions", "/account/sessions", "menu.sessions"},
		{"connected_apps", "/account/apps", "menu.apps"},
		{"activity", "/account/activity", "menu.activity"},
	}
}

// scopeList is a list of permissions with the level of its headings.
type scopeList struct {
	Groups []ScopeGroup
	Level  int
}

func groupsOf(groups []ScopeGroup, level int) scopeList { return scopeList{groups, level} }

// appURL lets addresses of native apps through, which the template engine would refuse, and nothing that a browser runs.
func appURL(s string) template.URL {
	u, err := url.Parse(s)
	if err != nil {
		return "#"
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "data", "vbscript", "blob", "file", "filesystem", "about", "view-source":
		return "#"
	}
	return template.URL(s) //nolint:gosec // every scheme that a browser runs is refused above
}

// inFours puts spaces into a long code, so that it can be read out and typed.
func inFours(s string) string {
	var b strings.Builder
	for i, c := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// download is a text file with recovery codes, as an address that needs neither a request nor a script.
func (w words) download(p RecoveryCodes) template.URL {
	head := w.text("recovery_codes.file_for", "Account", p.Account, "Brand", w.brand.Name)
	text := head + "\r\n\r\n" + strings.Join(p.Codes, "\r\n") + "\r\n\r\n" + w.text("recovery_codes.keep") + "\r\n"
	return template.URL("data:text/plain;charset=utf-8," + url.PathEscape(text)) //nolint:gosec // percent-encoded text
}
