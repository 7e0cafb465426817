package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"ellis.example/deploy/internal/freeport"
)

const maxPort = 65535

// Ports gives out ports on loopback, none of them twice, and keeps them from others until Release. The zero value is ready.
type Ports struct{ held map[int]net.Listener }

// From returns the first port from first on that nobody listens at.
func (p *Ports) From(first int) (int, error) {
	for port := first; port <= maxPort; port++ {
		if p.take(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d on is free", first)
}

// Free returns any free port. No other process that asks in this way is given it before this one ends.
func (p *Ports) Free() (int, error) {
	for range 20 {
		port, err := freeport.Free()
		if err != nil {
			return 0, err
		}
		if p.take(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port was found")
}

// Release lets go of the ports, for those that they are meant for. Another process may be quicker at one that From gave.
func (p *Ports) Release() {
	for _, l := range p.held {
		_ = l.Close()
	}
	p.held = nil
}

// take looks at both loopback addresses: browsers try ::1 for localhost too, and would meet somebody else there.
func (p *Ports) take(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		d := net.Dialer{Timeout: time.Second}
		if c, err := d.DialContext(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			_ = c.Close()
			return false
		}
	}
	l, err := listen(port)
	if err != nil {
		return false
	}
	if p.held == nil {
		p.held = map[int]net.Listener{}
	}
	p.held[port] = l
	return true
}

func listen(port int) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(context.Background(), "tcp", Loopback(port)) // it resolves no name
}

// Loopback is the listening address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
