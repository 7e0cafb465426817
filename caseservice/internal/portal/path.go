package portal

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

const (
	homePath  = "/cases"
	frontPath = "/"
	maxPath   = 1024
)

var (
	// returnPaths are where a sign-in may lead: pages, never an action. A path that ends in / stands for what is below it.
	returnPaths = []string{"/", "/cases", "/cases/", "/claim", "/claim/review", "/help", "/privacy", "/not-government"}
	// backPaths are where the language switch may lead back to.
	backPaths = append([]string{"/signout", "/signed-out"}, returnPaths...)
)

// ownPath returns s if it is a path of this origin that allowed names, else fallback. It is strict about everything that
// browsers and Go may read differently: nothing but printing ASCII, no backslash, no empty or dotted segment, plain or
// percent-encoded.
func ownPath(s string, allowed []string, fallback string) string {
	if s == "" || len(s) > maxPath || s[0] != '/' || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }) {
		return fallback
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return fallback
	}
	if u.Path != path.Clean(u.Path) || strings.ContainsFunc(u.Path, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' || c == '%' }) {
		return fallback
	}
	known := slices.ContainsFunc(allowed, func(a string) bool {
		return u.Path == a || len(a) > 1 && strings.HasSuffix(a, "/") && strings.HasPrefix(u.Path, a)
	})
	if !known {
		return fallback
	}
	return s
}
