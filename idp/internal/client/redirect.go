package client

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxURI = 1024

// MatchRedirect reports whether requested is one of the client's redirect URIs. The comparison is of bytes (RFC 9700
// §4.1.3); only the port may differ, only for native clients and only for http on 127.0.0.1 and [::1] (RFC 8252 §7.3).
// Nothing is decoded or normalised, so that there is nothing to disagree about.
func (c *Client) MatchRedirect(requested string) bool {
	return matchRedirect(c.RedirectURIs, requested, c.ApplicationType == Native)
}

// MatchPostLogout reports whether requested is byte for byte one of the client's post-logout redirect URIs.
func (c *Client) MatchPostLogout(requested string) bool {
	return slices.Contains(c.PostLogoutRedirectURIs, requested)
}

func matchRedirect(registered []string, requested string, anyPort bool) bool {
	if slices.Contains(registered, requested) {
		return true
	}
	if !anyPort {
		return false
	}
	want, ok := splitLoopback(requested)
	return ok && slices.ContainsFunc(registered, func(r string) bool {
		have, ok := splitLoopback(r)
		return ok && have == want
	})
}

// loopback is a redirect URI on the machine itself, without its port.
type loopback struct{ host, rest string }

// splitLoopback takes apart "http://127.0.0.1[:port]rest" and "http://[::1][:port]rest" by their text. The rest begins
// with the path or the query, or is empty.
func splitLoopback(uri string) (loopback, bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return loopback{}, false
	}
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		rest, ok := strings.CutPrefix(after, host)
		if !ok {
			continue
		}
		if port, more, has := cutPort(rest); has {
			if !validPort(port) {
				return loopback{}, false
			}
			rest = more
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return loopback{}, false
		}
		return loopback{host, rest}, true
	}
	return loopback{}, false
}

func cutPort(s string) (port, rest string, ok bool) {
	if !strings.HasPrefix(s, ":") {
		return "", s, false
	}
	end := strings.IndexAny(s, "/?")
	if end < 0 {
		end = len(s)
	}
	return s[1:end], s[end:], true
}

// validPort takes the canonical decimal text of 1 to 65535.
func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// checkRedirect says what is wrong with a redirect URI as a registration, or "".
func checkRedirect(raw, applicationType string) string {
	if why := plainURI(raw); why != "" {
		return why
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return "write an absolute URI, for example https://app.example/callback"
	}
	if !strings.HasPrefix(raw, u.Scheme+":") {
		return "write the scheme in lower case"
	}
	switch u.Scheme {
	case "https":
		return checkAuthority(raw, u)
	case "http":
		if why := checkAuthority(raw, u); why != "" {
			return why
		}
		if !isLoopbackHost(u.Hostname()) {
			return "use https; http is only for 127.0.0.1, [::1] and localhost"
		}
		return ""
	}
	return checkPrivateUse(raw, u, applicationType)
}

// plainURI refuses every character that some parser reads differently from another.
func plainURI(raw string) string {
	if raw == "" || len(raw) > maxURI {
		return "write a URI of 1 to " + strconv.Itoa(maxURI) + " characters"
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return "remove spaces, control characters, backslashes and characters outside ASCII (host names in their xn-- form, the rest percent-encoded)"
		}
	}
	if strings.Contains(raw, "#") {
		return "remove the fragment (RFC 6749 §3.1.2)"
	}
	return ""
}

// checkAuthority looks at host, port and path of an http or https URI.
func checkAuthority(raw string, u *url.URL) string {
	authority, rest, _ := strings.Cut(strings.TrimPrefix(raw, u.Scheme+"://"), "/")
	switch {
	case !strings.HasPrefix(raw, u.Scheme+"://"), u.Opaque != "", u.Host == "":
		return "write it as " + u.Scheme + "://host/path"
	case u.User != nil, strings.Contains(authority, "@"):
		return "remove the user name before the host"
	case !canonicalHost(u.Hostname(), strings.HasPrefix(u.Host, "[")):
		return "write the host in its canonical form: lower-case letters, digits, dots and hyphens, or a plain IP address; no wildcard"
	case u.Port() != "" && !validPort(u.Port()), strings.HasSuffix(u.Host, ":"):
		return "write the port as a plain number from 1 to 65535, or leave it and its colon out"
	case strings.Contains(rest, "*"):
		return "register each address by itself: they are compared byte by byte, and * stands for nothing but itself"
	case hasDotSegment("/" + rest):
		return `remove "." and ".." from the path`
	}
	return ""
}

func hasDotSegment(s string) bool {
	path, _, _ := strings.Cut(s, "?")
	return slices.ContainsFunc(strings.Split(path, "/"), func(seg string) bool {
		seg = strings.ReplaceAll(strings.ToLower(seg), "%2e", ".")
		return seg == "." || seg == ".."
	})
}

// canonicalHost takes what every parser agrees on: a domain name in lower case whose last label is no number (browsers
// read "0x7f.1" as an address), or an IP address as netip prints it.
func canonicalHost(h string, bracketed bool) bool {
	if a, err := netip.ParseAddr(h); err == nil {
		return a.String() == h && a.Zone() == "" && a.Is6() == bracketed && !a.Is4In6()
	}
	if bracketed || h == "" || len(h) > 253 {
		return false
	}
	labels := strings.Split(h, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

func isLoopbackHost(h string) bool { return h == "localhost" || h == "127.0.0.1" || h == "::1" }

// checkPrivateUse takes a scheme that an app owns by a domain name in reverse (RFC 8252 §7.1). The dot keeps out
// javascript:, data:, vbscript: and every scheme that a browser acts on.
func checkPrivateUse(raw string, u *url.URL, applicationType string) string {
	switch {
	case applicationType != Native:
		return "use https; a private-use scheme is only for application_type native"
	case !strings.Contains(u.Scheme, ".") || strings.HasPrefix(u.Scheme, ".") || strings.HasSuffix(u.Scheme, "."):
		return "use https, or for a native app a scheme that is a domain name in reverse, for example com.example.app:/callback"
	case u.User != nil, strings.Contains(raw, "@"):
		return "remove the user name before the host"
	}
	return ""
}

// Claimable reports whether any app on the device could receive what is sent to uri: then a remembered consent proves
// nothing about who asks (RFC 8252 §8.6).
func Claimable(uri string) bool {
	return !strings.HasPrefix(uri, "https://")
}

// OriginOf returns the origin (RFC 6454 §4) of an http or https URI, or "".
func OriginOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	if p := u.Port(); (u.Scheme == "https" && p == "443") || (u.Scheme == "http" && p == "80") {
		return u.Scheme + "://" + strings.TrimSuffix(u.Host, ":"+p)
	}
	return u.Scheme + "://" + u.Host
}
