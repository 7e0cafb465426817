package shed

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// endless is a connection on which the same request comes again and again.
type endless struct {
	net.Conn
	text string
}

func (e endless) Read(p []byte) (int, error) { return copy(p, e.text), nil }

func (endless) Close() error { return nil }

// What a request costs beside its work: its bytes are counted, and its connection is followed.
func BenchmarkConnection(b *testing.B) {
	c := NewConnections(Limits{}, func(string) {})
	k := c.admit(endless{text: "POST /token HTTP/1.1\r\n" + strings.Repeat("X-Some-Field: some value\r\n", 10) + "\r\n" + strings.Repeat("b", 200)})
	p := make([]byte, 4096)
	for b.Loop() {
		_, _ = k.Read(p)
		k.is(http.StateActive)
		if !k.work() {
			b.Fatal("it was dropped")
		}
		k.release()
		k.wait()
		k.is(http.StateIdle)
	}
}
