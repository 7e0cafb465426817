package signin

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestPeer_IsWhomTrustedProxiesVouchFor(t *testing.T) {
	t.Parallel()
	g := New(Config{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, c := range []struct{ from, forwarded, want string }{
		{"192.0.2.1:1", "", "192.0.2.1"},
		{"192.0.2.1:1", "198.51.100.7", "192.0.2.1"}, // nobody vouches for that
		{"10.0.0.1:1", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:1", "203.0.113.9, 198.51.100.7, 10.1.1.1", "198.51.100.7"},
		{"10.0.0.1:1", "not an address", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2::9]:1", "", "2001:db8:1:2::/64"},
		{"nowhere", "", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.from, Header: http.Header{"X-Forwarded-For": {c.forwarded}}}
		if got := subscriber(g.peer(r)); got != c.want {
			t.Errorf("%s through %q: %s, want %s", c.from, c.forwarded, got, c.want)
		}
	}
}
