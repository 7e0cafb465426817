package overload

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
)

// kept is a connection that a client keeps between its requests, and loses where it is dropped.
type kept struct {
	net.Conn
	in *bufio.Reader
}

// ask sends a request and reads the answer, which has to be an orderly one.
func (k kept) ask(port int) error {
	if err := k.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(k, "GET /signin HTTP/1.1\r\nHost: localhost:%d\r\n\r\n", port); err != nil {
		return err
	}
	res, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// A crowd of eight times the connections that may be open, which comes again whenever it is dropped, costs nobody the connection on
// which they were answered before. Where a request meets one that is closed, nobody knows whether it may be sent again.
func TestOverload_ACrowdThatRedialsCostsNobodyAConnectionThatWasAnswered(t *testing.T) {
	t.Parallel()
	z, most := sizeOf(t), 256
	if z.long {
		most = 2048
	}
	s := newSystem(t, "--max-connections", strconv.Itoa(most))
	port := s.cfg.Ports.IDP
	known := make([]kept, 16)
	for i := range known {
		nc, err := net.Dial("tcp", launch.Loopback(port))
		s.must(err)
		t.Cleanup(func() { _ = nc.Close() })
		known[i] = kept{nc, bufio.NewReader(nc)}
		s.must(known[i].ask(port))
	}
	crowd := s.gather(port, z.sockets, 60_000)
	const pause = 1500 * time.Millisecond // longer than anybody stays who only connects
	var all sync.WaitGroup
	for i, k := range known {
		all.Go(func() {
			for end := time.Now().Add(2 * z.phase); time.Now().Before(end); {
				time.Sleep(pause)
				if err := k.ask(port); err != nil {
					t.Errorf("client %d, which had been answered before: %v", i, err)
					return
				}
			}
		})
	}
	fresh := s.keys("keys, each time on a new connection", 8, z.phase)
	all.Wait()
	dropped := s.metric(s.idp, `idp_shed_total{what="room"}`)
	t.Logf("%v were dropped to make room, of %v dials; at its peak, the provider took %d MB", dropped, s.metric(crowd, "dials"), launch.Resident(s.idp.Pid, true)>>20)
	if z.sockets > 4*most && dropped < float64(2*most) {
		t.Errorf("%v were dropped: there was no crowd", dropped)
	}
	if z.long {
		s.mostly(z, fresh)
	}
	s.alive()
}
