package web

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Private returns the handler of the private listener. degraded names what does not work at the moment; that alone never
// takes the service out of rotation, or a slow issuer would take every API down with it.
func Private(s *State, metrics prometheus.Gatherer, degraded func() []string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeState(w, http.StatusOK, "ok", nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Serving() {
			writeState(w, http.StatusServiceUnavailable, "not serving", nil)
			return
		}
		writeState(w, http.StatusOK, "ready", degraded())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

func writeState(w http.ResponseWriter, status int, state string, degraded []string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header()["Cache-Control"] = noStore
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the client may be gone
		Status   string   `json:"status"`
		Degraded []string `json:"degraded,omitempty"`
	}{state, degraded})
}
