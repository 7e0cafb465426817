package launch

import (
	"errors"
	"fmt"
	"net"
	"strconv"
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

// Free returns any free port.
func (p *Ports) Free() (int, error) {
	for range 20 {
		l, err := net.Listen("tcp", Loopback(0))
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if p.take(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port was found")
}

// Release lets go of the ports, for those that they are meant for. Another process may still be quicker.
func (p *Ports) Release() {
	for _, l := range p.held {
		_ = l.Close()
	}
	p.held = nil
}

// take looks at both loopback addresses: browsers try ::1 for localhost too, and would meet somebody else there.
func (p *Ports) take(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		if c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			_ = c.Close()
			return false
		}
	}
	l, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return false
	}
	if p.held == nil {
		p.held = map[int]net.Listener{}
	}
	p.held[port] = l
	return true
}

// Loopback is the listening address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
