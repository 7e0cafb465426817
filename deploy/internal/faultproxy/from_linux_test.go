package faultproxy_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"ellis.example/deploy/internal/faultproxy"
)

// Who calls from an address of their own is seen by it. Elsewhere than on Linux loopback has only one.
func TestProxy_TheTargetSeesTheAddressOfItsClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		_, _ = io.WriteString(w, host)
	}))
	t.Cleanup(server.Close)
	p, err := faultproxy.Listen("127.0.0.1:0", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	for _, address := range []string{"127.0.0.1", "127.0.7.9"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		c := http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
		resp, err := c.Get("http://" + p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		seen, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(seen) != address || err != nil {
			t.Errorf("%s is seen as %q, %v", address, seen, err)
		}
	}
}
