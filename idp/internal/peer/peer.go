package peer

import (
	"net/netip"
	"slices"
	"strings"
)

// Address returns the address of a client: remote is the other end of the connection with its port, forwarded are the values
// of X-Forwarded-For. A forwarded address counts only as far as trusted proxies vouch for it: from the right, the first that
// is not one of them. It is invalid where remote is.
func Address(remote string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr := plain(ap.Addr())
	vouches := func() bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	if !vouches() { // mostly: nothing has to be taken apart
		return addr
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for i := len(hops) - 1; i >= 0 && vouches(); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = plain(hop)
	}
	return addr
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Network is the part of the address space that one subscriber holds: an IPv4 address, or an IPv6 network of 64 bits. Of an
// invalid address it is "".
func Network(a netip.Addr) string {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return ""
	case a.Is6():
		return netip.PrefixFrom(a.WithZone(""), 64).Masked().String()
	}
	return a.String()
}
