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
	*shed.Load
	places *shed.Places
	polls  *shed.Places
}

// NewLoad returns the bounds of a process with at most so many open connections, with their metrics. At most a half of the
// connections is worked for, beside a quarter for polls of the feed that are looked at; the rest is for who needs no place.
func NewLoad(reg prometheus.Registerer, connections int) *Load {
	return loadOf(shed.NewLoad(reg, "idp", "idp_http", connections))
}

func loadOf(l *shed.Load) *Load {
	return &Load{Load: l, places: l.Places(0, 2), polls: l.Places(pollPlaces, 4)}
}
