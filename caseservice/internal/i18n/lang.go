package i18n

import "golang.org/x/text/language"

// Lang is a language that the portal speaks, as a BCP 47 tag.
type Lang string

// The languages, the default first.
const (
	English Lang = "en"
	Spanish Lang = "es"
)

// Languages lists what the portal speaks, the default first.
func Languages() []Lang { return []Lang{English, Spanish} }

// matcher maps any regional variety to the language that we have.
var matcher = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// maxHeader bounds what is parsed of a header that anybody may send.
const maxHeader = 256

// Parse returns the language with exactly the tag s.
func Parse(s string) (Lang, bool) {
	for _, l := range Languages() {
		if string(l) == s {
			return l, true
		}
	}
	return English, false
}

// Negotiate chooses the language of a page: what the person chose before (a cookie), then Accept-Language (RFC 9110
// §12.5.4), then English. Input is untrusted; what cannot be read is passed over.
func Negotiate(cookie, acceptLanguage string) Lang {
	if l, ok := Parse(cookie); ok {
		return l
	}
	if len(acceptLanguage) > maxHeader {
		return English
	}
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(tags) == 0 {
		return English
	}
	_, i, confidence := matcher.Match(tags...)
	if confidence == language.No {
		return English
	}
	return Languages()[i]
}
