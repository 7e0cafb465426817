package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"ellis.example/caseservice/internal/shed"
)

// DefaultConnections is how many connections the public listener has at once.
const DefaultConnections = shed.DefaultConnections

// Load bounds what all public requests may use together, and counts it. An Edge and its Servers share one.
type Load struct {
	*shed.Load
	places *shed.Places
}

// NewLoad returns the bounds of a process with at most so many open connections, with their metrics, whose names begin with
// prefix. At most a half of the connections is worked for: the rest is for who needs no place.
func NewLoad(reg prometheus.Registerer, prefix string, connections int) *Load {
	return loadOf(shed.NewLoad(reg, prefix, prefix, connections))
}

func loadOf(l *shed.Load) *Load { return &Load{Load: l, places: l.Places(0, 2)} }
