package freeport

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Systems give ports from 32,768 or 49,152 on to connections that go out. Whatever is chosen there may be taken in the moment
// before its server listens, or while a server is restarted.
const first, end = 15_000, 32_000

// promises are never let go of: a socket that nobody refers to is closed.
var promises struct {
	sync.Mutex
	all []net.PacketConn
}

// Free returns a port of loopback at which nobody listens and which is given to nobody else before this process ends.
func Free() (int, error) {
	for range 500 {
		n, err := rand.Int(rand.Reader, big.NewInt(end-first))
		if err != nil {
			return 0, err
		}
		if port := first + int(n.Int64()); take(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port was found")
}

// take reports whether a port was free. It keeps the UDP port of the same number, which says to other processes that this one
// was given: the system lets go of it whatever becomes of the process.
func take(port int) bool {
	var c net.ListenConfig
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	promise, err := c.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return false
	}
	if someoneListens(addr) {
		_ = promise.Close()
		return false
	}
	promises.Lock()
	defer promises.Unlock()
	promises.all = append(promises.all, promise)
	return true
}

// someoneListens asks by connecting. A listener of our own, closed again at once, would live on in every child that another
// goroutine is just about to start, until the child runs its program: the port that was found free would be taken for a moment.
func someoneListens(addr string) bool {
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED)
}
