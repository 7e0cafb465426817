package i18n

import (
	"strings"

	"golang.org/x/text/language"
)

// Lang is a language that the provider speaks, as a BCP 47 tag.
type Lang string

// The languages, the default first.
const (
	English Lang = "en"
	Spanish Lang = "es"
)

// Languages lists what the provider speaks, the default first.
func Languages() []Lang { return []Lang{English, Spanish} }

// matcher maps any regional variety to the language that we have.
var matcher = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// maxHeader bounds what is parsed of a header or parameter that anybody may send.
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

// Negotiate chooses the language of a page: ui_locales (OpenID Connect Core §3.1.2.1: tags in order of preference,
// separated by spaces), then what the person chose before (a cookie), then Accept-Language (RFC 9110 §12.5.4), then
// English. Input is untrusted; what cannot be read is passed over.
func Negotiate(uiLocales, cookie, acceptLanguage string) Lang {
	if l, ok := fromLocales(uiLocales); ok {
		return l
	}
	if l, ok := Parse(cookie); ok {
		return l
	}
	if len(acceptLanguage) > maxHeader {
		return English
	}
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return English
	}
	l, _ := match(tags)
	return l
}

// fromLocales takes the first tag of the list that is one of our languages in any regional variety.
func fromLocales(list string) (Lang, bool) {
	if len(list) > maxHeader {
		return English, false
	}
	var tags []language.Tag
	for field := range strings.FieldsSeq(list) {
		if tag, err := language.Parse(field); err == nil {
			tags = append(tags, tag)
		}
	}
	return match(tags)
}

// match returns the best of our languages, and whether it is more than the fallback.
func match(tags []language.Tag) (Lang, bool) {
	if len(tags) == 0 {
		return English, false
	}
	_, i, confidence := matcher.Match(tags...)
	if confidence == language.No {
		return English, false
	}
	return Languages()[i], true
}
