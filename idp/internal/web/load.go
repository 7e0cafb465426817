package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/idp/internal/shed"
)

// pollPlaces is how many polls of the feed may be looked at at once. None takes long: those that wait for something to
// happen are not among them.
const pollPlaces = 64

// DefaultConnections is how many connections the public listener has at once.
const DefaultConnections = shed.DefaultConnections

// Load bounds what all public requests may use together, and counts it. An Edge and its Servers share one.
type Load struct {
	conns  *shed.Connections // nil: they are not bounded
	places *shed.Places
	polls  *shed.Places
}

// NewLoad returns the bounds of a process with at most so many open connections, with their metrics.
func NewLoad(reg prometheus.Registerer, connections int) *Load {
	turned := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "idp_shed_total",
		Help: "Turned away, by what was lacking. Requests: places, bytes (503), slow (408). Connections that were closed to make room: room (it waited longest), held (its request did not end and all of these held too much), full (it was new).",
	}, []string{"what"})
	conns := shed.NewConnections(shed.Limits{Connections: connections}, func(what string) { turned.WithLabelValues(what).Inc() })
	l := &Load{conns: conns, places: conns.Places(0), polls: conns.Places(pollPlaces)}
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of)
	}
	reg.MustRegister(turned,
		gauge("idp_http_requests_in_flight", "Requests that are worked on; keys, discovery, assets and polls that wait are not among them.", func() float64 { return float64(l.places.Taken() + l.polls.Taken()) }),
		gauge("idp_connections", "Open connections of the public listener.", func() float64 { return float64(conns.Open()) }),
		gauge("idp_connections_most", "How many connections of the public listener may be open.", func() float64 { return float64(conns.Most()) }),
		gauge("idp_http_request_bytes", "Bytes of requests that were not answered yet.", func() float64 { return float64(conns.Held()) }),
	)
	return l
}

// unbounded is the load of who says nothing of it: only places are counted.
func unbounded() *Load {
	var none *shed.Connections
	return &Load{places: none.Places(0), polls: none.Places(pollPlaces)}
}
