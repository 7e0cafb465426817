// Package web is the service's HTTP plumbing: servers with limits and a drain, the edge that every public request passes
// (request id, headers, panics, one log line, metrics), problem+json, and the private listener.
//
// Routes it mounts, on the private listener only: GET /healthz, /readyz, /metrics. It knows neither cases nor tokens.
package web
