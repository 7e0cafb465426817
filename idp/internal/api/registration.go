package api

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ellis.example/idp/internal/fault"
)

// Languages are those that every name and scope must have words in.
var Languages = []string{"en", "es"}

// SigningAlgorithms are those that an API can have its access tokens signed with.
var SigningAlgorithms = []string{"ES256", "RS256", "PS256", "EdDSA"}

// protocolScopes are those that the provider itself gives a meaning to (OpenID Connect Core §5.4, §11).
var protocolScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

const (
	maxAudience = 512
	maxScopes   = 100
	maxWords    = 200
)

var (
	idForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	scopeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._/-]{0,127}$`)
)

// WithDefaults returns a with what is assumed where a registration says nothing.
func (a API) WithDefaults() API {
	if a.SigningAlg == "" {
		a.SigningAlg = "ES256"
	}
	return a
}

// Validate checks a registration that WithDefaults has completed, beside the other registered APIs. It returns every problem
// at once, joined: each is a fault of kind Invalid whose Field is the metadata's name and whose Message says what to change.
func (a API) Validate(others []API) error {
	var p problems
	p.check(idForm.MatchString(a.ID), "id", "use 1 to 64 lower-case letters, digits and hyphens, beginning with a letter or digit")
	p.check(checkAudience(a.Audience) == "", "audience", checkAudience(a.Audience))
	p.words("name", a.Name)
	p.check(slices.Contains(SigningAlgorithms, a.SigningAlg), "signing_alg", "use "+strings.Join(SigningAlgorithms, ", "))
	a.checkScopes(&p)
	for _, o := range others {
		if o.ID != a.ID {
			a.checkBeside(&p, o)
		}
	}
	return errors.Join(p...)
}

type problems []error

func (p *problems) check(ok bool, field, why string) {
	if !ok {
		*p = append(*p, fault.New(fault.Invalid, "api_metadata", field+": "+why).At(field))
	}
}

// words checks a text that people read: there in every language, and plain.
func (p *problems) words(field string, w map[string]string) {
	for _, lang := range Languages {
		p.check(strings.TrimSpace(w[lang]) != "", field, "give the words in "+strings.Join(Languages, " and ")+"; "+lang+" is missing")
	}
	for lang, s := range w {
		p.check(slices.Contains(Languages, lang), field, "no page is shown in "+strconv.Quote(lang)+"; use "+strings.Join(Languages, " and "))
		p.check(utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxWords, field, "use at most 200 characters of UTF-8")
		p.check(!strings.ContainsFunc(s, invisible), field, "remove invisible characters and line breaks")
	}
}

func invisible(r rune) bool { return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) }

// checkAudience says what is wrong with a resource identifier, or "". It is compared byte for byte, so that only what
// every parser reads in one way is taken (RFC 8707 §2: an absolute URI without a fragment; a query has no use here).
func checkAudience(s string) string {
	if len(s) > maxAudience || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}#?@", r) }) {
		return "write an absolute URI of at most 512 plain characters, without user name, query or fragment"
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" || !strings.HasPrefix(s, u.Scheme+"://") || strings.ToLower(u.Host) != u.Host {
		return "write an absolute URI such as https://api.example, scheme and host in lower case"
	}
	local := slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return "use https; http is only for 127.0.0.1, [::1] and localhost"
	}
	return ""
}

func (a API) checkScopes(p *problems) {
	p.check(len(a.Scopes) <= maxScopes, "scopes", "give at most 100")
	seen := map[string]bool{}
	for i, s := range a.Scopes {
		field := "scopes[" + strconv.Itoa(i) + "]"
		p.check(scopeForm.MatchString(s.Name), field, "name: use letters, digits and : . _ / -, beginning with a letter or digit; no wildcard")
		p.check(!slices.Contains(protocolScopes, s.Name), field, s.Name+" is a scope of the provider itself; choose another name")
		p.check(!seen[s.Name], field, s.Name+" is there twice")
		p.words(field, s.Words)
		seen[s.Name] = true
	}
}

// checkBeside refuses what another API has already: a token must be for one of them only.
func (a API) checkBeside(p *problems, o API) {
	p.check(a.Audience != o.Audience, "audience", "it is that of API "+o.ID+"; give each API its own")
	p.check(a.ClientID == "" || a.ClientID != o.ClientID, "client_id", "it is that of API "+o.ID+"; give each API its own")
	for i, s := range a.Scopes {
		taken := slices.ContainsFunc(o.Scopes, func(t Scope) bool { return t.Name == s.Name })
		p.check(!taken, "scopes["+strconv.Itoa(i)+"]", s.Name+" belongs to API "+o.ID+"; choose another name")
	}
}
