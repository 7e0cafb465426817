package launch

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

const maxPort = 65535

// Ports gives out ports on loopback, none of them twice. The zero value is ready.
type Ports struct{ given map[int]bool }

// From returns the first port from first on that nobody listens at. Another process may still be quicker than the one that
// it is meant for.
func (p *Ports) From(first int) (int, error) {
	for port := first; port <= maxPort; port++ {
		if !p.given[port] && free(port) {
			return p.give(port), nil
		}
	}
	return 0, fmt.Errorf("no port from %d on is free", first)
}

// Free returns any free port.
func (p *Ports) Free() (int, error) {
	var errs []error
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		errs = append(errs, l.Close())
		if !p.given[port] && free(port) {
			return p.give(port), nil
		}
	}
	return 0, errors.Join(append(errs, errors.New("no free port was found"))...)
}

func (p *Ports) give(port int) int {
	if p.given == nil {
		p.given = map[int]bool{}
	}
	p.given[port] = true
	return port
}

// free looks at both loopback addresses: browsers try ::1 for localhost too, and would meet somebody else there.
func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = l.Close() // it only looked
	for _, host := range []string{"127.0.0.1", "::1"} {
		if c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			_ = c.Close()
			return false
		}
	}
	return true
}

// Loopback is the listening address of a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
