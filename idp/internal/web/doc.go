// Package web is the HTTP plumbing of the provider: the edge that every public request passes (request id, client
// address, host check, limits, panics, one log line, metrics), the one place that turns errors into answers, cookies,
// cross-site request forgery tokens, servers with a drain, and the private listener.
//
// Routes it mounts, on the private listener only: GET /healthz, /readyz, /metrics. It knows neither accounts nor tokens,
// and imports only leaves, shed and telemetry.
package web
