package shed

import (
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Load bounds what all requests of a public listener may use together, and counts it.
type Load struct {
	conns *Connections // nil: they are not bounded
	all   []*Places
}

// NewLoad returns the bounds of a process with at most so many open connections, with their metrics: the names of those of
// connections begin with prefix, those of requests with requests.
func NewLoad(reg prometheus.Registerer, prefix, requests string, connections int) *Load {
	turned := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: prefix + "_shed_total",
		Help: "Turned away, by what was lacking. Requests: places, bytes (503), slow (408). Connections that were closed to make room: room (it waited for its client), held (its request did not end and all of these held too much), full (it was new).",
	}, []string{"what"})
	conns := NewConnections(Limits{Connections: connections}, func(what string) { turned.WithLabelValues(what).Inc() })
	l := &Load{conns: conns}
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of)
	}
	reg.MustRegister(turned,
		gauge(requests+"_requests_in_flight", "Requests that are worked on. What lies ready, what only waits for an event, and what only has to be taken by its client is not among them.", l.taken),
		gauge(prefix+"_connections", "Open connections of the public listener.", func() float64 { return float64(conns.Open()) }),
		gauge(prefix+"_connections_most", "How many connections of the public listener may be open.", func() float64 { return float64(conns.Most()) }),
		gauge(requests+"_request_bytes", "Bytes of requests that were not answered yet.", func() float64 { return float64(conns.Held()) }),
	)
	return l
}

// Unbounded is the load of who says nothing of it: only places are counted.
func Unbounded() *Load { return &Load{} }

// Places is that of the connections. It is called before anything is served.
func (l *Load) Places(n, share int) *Places {
	p := l.conns.Places(n, share)
	l.all = append(l.all, p)
	return p
}

// Guard is that of the connections.
func (l *Load) Guard(srv *http.Server, nl net.Listener) net.Listener { return l.conns.Guard(srv, nl) }

func (l *Load) taken() (n float64) {
	for _, p := range l.all {
		n += float64(p.Taken())
	}
	return n
}
