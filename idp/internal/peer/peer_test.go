package peer_test

import (
	"net/netip"
	"testing"

	"ellis.example/idp/internal/peer"
)

func TestAddress_IsWhomTrustedProxiesVouchFor(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		from      string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:1", nil, "192.0.2.1"},
		{"192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"}, // nobody vouches for that
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.7, 10.1.1.1"}, "198.51.100.7"},
		{"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		{"10.0.0.1:1", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{"not an address"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7:99"}, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"[fd00::1]:1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"nowhere", []string{"198.51.100.7"}, "invalid IP"},
	} {
		if got := peer.Address(c.from, c.forwarded, trusted); got.String() != c.want {
			t.Errorf("%s through %q: %s, want %s", c.from, c.forwarded, got, c.want)
		}
	}
}

func TestNetwork_IsWhatOneSubscriberHolds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := peer.Network(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := peer.Network(netip.Addr{}); got != "" {
		t.Errorf("of nobody: %s", got)
	}
}
