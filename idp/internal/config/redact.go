package config

import (
	"net/url"
	"strings"
)

const hidden = "xxxxx"

// WithoutPassword returns an address as it may be shown: of a URL without the password, wherever it stands. What is written so
// that a password may lie anywhere in it is not shown at all. A SQLite database has none.
func WithoutPassword(text string) string {
	if text == "" || strings.HasPrefix(text, "sqlite:") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") { // an "@" there ends a password with "/", "?" or "#"
		return "(not a URL)"
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(strings.ToLower(name), "password") {
			q.Set(name, hidden)
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}
