package client

import (
	"net/url"
	"strings"
	"testing"
)

func native(uris ...string) *Client { return &Client{ApplicationType: Native, RedirectURIs: uris} }

func web(uris ...string) *Client { return &Client{ApplicationType: Web, RedirectURIs: uris} }

func TestAttack_A02_OnlyThePortOfALoopbackRedirectMayDiffer(t *testing.T) {
	t.Parallel()
	c := native("http://127.0.0.1/callback?a=1", "http://[::1]:1234/cb", "http://localhost/cb", "https://app.example/cb")
	for uri, want := range map[string]bool{
		"http://127.0.0.1/callback?a=1":       true,
		"http://127.0.0.1:1/callback?a=1":     true,
		"http://127.0.0.1:65535/callback?a=1": true,
		"http://[::1]/cb":                     true,
		"http://[::1]:9999/cb":                true,
		"http://127.0.0.1:0/callback?a=1":     false,
		"http://127.0.0.1:65536/callback?a=1": false,
		"http://127.0.0.1:08/callback?a=1":    false,
		"http://127.0.0.1:+8/callback?a=1":    false,
		"http://127.0.0.1:/callback?a=1":      false,
		"http://127.0.0.1:8 /callback?a=1":    false,
		"http://127.0.0.1:8/callback":         false,
		"http://127.0.0.1:8/callback?a=2":     false,
		"http://127.0.0.1:8/callback?a=1&b":   false,
		"http://127.0.0.1:8/callback/?a=1":    false,
		"http://127.0.0.1:8/Callback?a=1":     false,
		"http://127.0.0.1:8//callback?a=1":    false,
		"http://127.0.0.2:8/callback?a=1":     false,
		"http://127.1:8/callback?a=1":         false,
		"http://2130706433:8/callback?a=1":    false,
		"http://127.0.0.1.evil.example/cb":    false,
		"http://127.0.0.1evil:8/callback?a=1": false,
		"http://localhost:8/cb":               false,
		"http://localhost/cb":                 true,
		"http://[::1]:8/callback?a=1":         false,
		"http://[0:0:0:0:0:0:0:1]:8/cb":       false,
		"http://[::1%25lo]:8/cb":              false,
		"https://app.example:8/cb":            false,
		"https://app.example/cb":              true,
		"":                                    false,
	} {
		if got := c.MatchRedirect(uri); got != want {
			t.Errorf("%q: %v", uri, got)
		}
	}
	if web("http://127.0.0.1/cb").MatchRedirect("http://127.0.0.1:8/cb") {
		t.Error("the port of a web client's redirect may differ")
	}
}

func TestAttack_A03_ALoopbackRedirectMatchesInNoOtherForm(t *testing.T) {
	t.Parallel()
	for _, c := range []*Client{native("https://127.0.0.1/cb"), native("http://127.0.0.1/cb"), web("http://127.0.0.1/cb"), web("https://app.example/cb")} {
		for _, uri := range []string{
			"http://evil@127.0.0.1:6666/cb", "http://127.0.0.1:6666/%63b", "http://127.0.0.1:6666/cb#", "http://127.0.0.1:6666/cb?", "http://127.0.0.1:6666/cb#x",
			"http://127.0.0.1@evil.example/cb", "http://127.0.0.1:80@evil.example/cb", "http://127.0.0.1\\@evil.example/cb", "http://127.0.0.1:6666\\.evil.example/cb",
			"HTTP://127.0.0.1:6666/cb", "http:/127.0.0.1:6666/cb", "http:127.0.0.1:6666/cb", "//127.0.0.1:6666/cb", " http://127.0.0.1:6666/cb", "http://127.0.0.1:6666/cb ",
			"http://127.0.0.1:6666/cb\x00", "http://127.0.0.1:6666/cb\n", "http://127.0.0.1:6666/./cb", "http://127.0.0.1:6666/x/../cb", "http://127.0.0.1:6666;/cb", "http://127.0.0.1.:6666/cb",
			"https://app.example/cb#", "https://app.example/cb?", "https://evil@app.example/cb", "https://app.example:443/cb", "https://APP.example/cb", "https://app.example/%63b", "https://app.example./cb",
		} {
			if c.MatchRedirect(uri) {
				t.Errorf("%v accepts %q", c.RedirectURIs, uri)
			}
		}
	}
	if native("https://127.0.0.1/cb").MatchRedirect("http://127.0.0.1:6666/cb") {
		t.Error("another scheme matches")
	}
}

func TestAttack_A05_UserinfoIsRefusedAtRegistration(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"https://user@app.example/cb", "https://user:pw@app.example/cb", "https://@app.example/cb", "http://localhost:80@evil.example/cb", "http://127.0.0.1@evil.example/cb",
		"https://app.example\\@evil.example/cb", "com.example.app://user@host/cb", "https://app.example%40evil.example/cb",
	} {
		for _, kind := range []string{Web, Native} {
			if why := checkRedirect(uri, kind); why == "" {
				t.Errorf("%s takes %q", kind, uri)
			}
		}
	}
}

func TestCheckRedirect_TakesWhatEveryParserReadsAlike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uri         string
		web, native bool
	}{
		{"https://app.example/cb", true, true},
		{"https://app.example", true, true},
		{"https://app.example:8443/cb?x=1&y=%20", true, true},
		{"https://xn--bcher-kva.example/cb", true, true},
		{"https://192.0.2.1/cb", true, true},
		{"https://[2001:db8::1]/cb", true, true},
		{"http://localhost:9000/callback", true, true},
		{"http://127.0.0.1/callback", true, true},
		{"http://[::1]/callback", true, true},
		{"com.example.app:/callback", false, true},
		{"com.example.app://callback", false, true},
		{"http://app.example/cb", false, false},
		{"http://127.0.0.2/cb", false, false},
		{"https://app.example/cb#frag", false, false},
		{"https://app.example/cb#", false, false},
		{"https://*.example/cb", false, false},
		{"https://app.example/../cb", false, false},
		{"https://app.example/%2E%2e/cb", false, false},
		{"https://app.example/./cb", false, false},
		{"https://app.example:/cb", false, false},
		{"https://app.example:0443/cb", false, false},
		{"https://app.example:99999/cb", false, false},
		{"https://APP.example/cb", false, false},
		{"HTTPS://app.example/cb", false, false},
		{"https://app.example./cb", false, false},
		{"https://-app.example/cb", false, false},
		{"https://0x7f.1/cb", false, false},
		{"https://127.1/cb", false, false},
		{"https://2130706433/cb", false, false},
		{"https://[::ffff:127.0.0.1]/cb", false, false},
		{"https://[2001:DB8::1]/cb", false, false},
		{"https://[fe80::1%25eth0]/cb", false, false},
		{"https://bücher.example/cb", false, false},
		{"https://app.example/c b", false, false},
		{"https://app.example/c\tb", false, false},
		{"https://app.example/c\\b", false, false},
		{"https:app.example/cb", false, false},
		{"https:///cb", false, false},
		{"https://", false, false},
		{"//app.example/cb", false, false},
		{"/cb", false, false},
		{"", false, false},
		{"javascript:alert(1)", false, false},
		{"data:text/html,x", false, false},
		{"vbscript:x", false, false},
		{"myapp:/cb", false, false},
		{".app:/cb", false, false},
		{"app.:/cb", false, false},
		{"Com.Example.App:/cb", false, false},
		{"https://app.example/" + strings.Repeat("a", 1005), false, false},
		{"https://app.example/" + strings.Repeat("a", 1004), true, true},
	} {
		for kind, want := range map[string]bool{Web: c.web, Native: c.native} {
			if why := checkRedirect(c.uri, kind); (why == "") != want {
				t.Errorf("%s, %q: %q, want taken %v", kind, c.uri, why, want)
			}
		}
	}
}

func TestMatchPostLogout_IsByteForByte(t *testing.T) {
	t.Parallel()
	c := &Client{ApplicationType: Native, PostLogoutRedirectURIs: []string{"http://127.0.0.1/bye"}}
	if !c.MatchPostLogout("http://127.0.0.1/bye") || c.MatchPostLogout("http://127.0.0.1:8/bye") || c.MatchPostLogout("") {
		t.Error("a port may differ, or nothing matches")
	}
}

func TestNeverRemember_OnlyForRedirectsThatAnybodyOnTheDeviceCanClaim(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]bool{"http://127.0.0.1/cb": true, "http://[::1]/cb": true, "com.example.app:/cb": true, "https://app.example/cb": false} {
		if native(uri).NeverRemember(uri) != want || web(uri).NeverRemember(uri) {
			t.Errorf("%s", uri)
		}
	}
}

func TestOrigins_AreThoseOfPublicWebClients(t *testing.T) {
	t.Parallel()
	c := web("https://app.example/cb", "https://app.example/other", "https://app.example:443/x", "https://app.example:8443/cb", "http://localhost:9000/cb")
	c.TokenEndpointAuth = AuthNone
	if got := strings.Join(c.Origins(), " "); got != "https://app.example https://app.example:8443 http://localhost:9000" {
		t.Errorf("got %q", got)
	}
	c.TokenEndpointAuth = AuthBasic
	if got := c.Origins(); got != nil {
		t.Errorf("a confidential client calls from %v", got)
	}
	c.TokenEndpointAuth, c.ApplicationType = AuthNone, Native
	if got := c.Origins(); got != nil {
		t.Errorf("a native client calls from %v", got)
	}
}

// Whatever is asked for: what matches is what was registered, but for the port, for the standard library's parser too.
func FuzzMatchRedirect(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1:8/cb", "http://[::1]:8/cb", "http://evil@127.0.0.1:6666/cb", "http://127.0.0.1:80@evil/cb", "https://app.example/cb", "http://127.0.0.1:8/cb#"} {
		f.Add(s)
	}
	registered := []string{"http://127.0.0.1/cb", "http://[::1]:1/cb?x=1", "https://app.example/cb"}
	f.Fuzz(func(t *testing.T, s string) {
		if !native(registered...).MatchRedirect(s) {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("accepted %q", s)
		}
		for _, r := range registered {
			want, _ := url.Parse(r)
			if u.Scheme == want.Scheme && u.Hostname() == want.Hostname() && u.RequestURI() == want.RequestURI() && u.EscapedPath() == want.EscapedPath() {
				return
			}
		}
		t.Fatalf("accepted %q", s)
	})
}

func FuzzCheckRedirect(f *testing.F) {
	for _, s := range []string{"https://app.example/cb", "http://localhost:80@evil/", "https://[::1]/", "com.example.app:/cb", "https://0x7f.1/", "https://a\\b/", "https://a?@b/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { hostsAgree(t, s) })
}

func TestAttack_A07_TwoParsersAgreeOnTheHostOfEveryRegisteredRedirect(t *testing.T) {
	t.Parallel()
	parts := []string{"", "@", ":", "/", "\\", "?", "#", "%", ".", "evil.example", "app.example", "127.0.0.1", "[::1]", "80", "user:pw@", "%40", "\t", "//", "%2f", "_", "xn--a", "0x7f"}
	for _, scheme := range []string{"https://", "http://", "https:", "https:/", "com.example.app:/"} {
		for _, a := range parts {
			for _, b := range parts {
				for _, c := range parts {
					hostsAgree(t, scheme+a+b+c+"/cb")
				}
			}
		}
	}
}

// hostsAgree compares the host that net/url finds in an accepted URI with the one that a browser does.
func hostsAgree(t *testing.T, s string) {
	t.Helper()
	if checkRedirect(s, Native) != "" || strings.HasPrefix(s, "com.") {
		return
	}
	u, err := url.Parse(s)
	if err != nil {
		t.Fatalf("accepted %q, which net/url does not", s)
	}
	if scheme, _, _ := strings.Cut(s, ":"); scheme != "https" && scheme != "http" {
		return // a scheme of an app: no browser looks for a host in it
	}
	if got := browserHost(s); got != u.Hostname() {
		t.Fatalf("%q: net/url goes to %q, a browser to %q", s, u.Hostname(), got)
	}
}

// browserHost finds the host as the WHATWG URL standard does for a special scheme: tabs and line breaks go, a backslash is
// a slash, any number of slashes begins the authority, and the last @ in it ends the userinfo.
func browserHost(s string) string {
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }))
	_, rest, _ := strings.Cut(s, ":")
	rest = strings.TrimLeft(rest, `/\`)
	if i := strings.IndexAny(rest, `/\?#`); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") {
		inner, _, _ := strings.Cut(rest[1:], "]")
		return inner
	}
	host, _, _ := strings.Cut(rest, ":")
	return strings.ToLower(host)
}
