package oauth

import (
	"net/http"
	"slices"
	"strings"

	"ellis.example/idp/internal/web"
)

// methods picks the handler of a protocol route by method. HEAD is GET without the body; OPTIONS lists what there is.
func methods(m map[string]web.Handler) web.Handler {
	allow := allowed(m)
	return func(w http.ResponseWriter, r *http.Request) error {
		if h := pick(m, r.Method); h != nil {
			return h(w, r)
		}
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return &web.OAuthError{Status: http.StatusMethodNotAllowed, Code: "invalid_request", Description: "this endpoint takes " + allow}
	}
}

// page is methods for a route that people see.
func (p *Provider) page(m map[string]web.Handler, wrap func(web.Handler) http.Handler) http.Handler {
	allow := allowed(m)
	served := wrap(func(w http.ResponseWriter, r *http.Request) error { return pick(m, r.Method)(w, r) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case pick(m, r.Method) != nil:
			served.ServeHTTP(w, r)
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", allow)
			p.Edge.MethodNotAllowed().ServeHTTP(w, r)
		}
	})
}

func pick(m map[string]web.Handler, method string) web.Handler {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return m[method]
}

func allowed(m map[string]web.Handler) string {
	list := []string{http.MethodOptions}
	for k := range m {
		list = append(list, k)
		if k == http.MethodGet {
			list = append(list, http.MethodHead)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// open serves what anybody may read from any origin: discovery and keys.
func (p *Provider) open(m map[string]web.Handler) http.Handler {
	h := p.Edge.OAuth(methods(m))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if preflight(r) {
			answerPreflight(w, allowed(m))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// browser serves an endpoint that browser clients call from their own registered origins, without credentials (Fetch
// Standard §3.2). Other origins get no permission, and so their scripts cannot read the answer.
func (p *Provider) browser(m map[string]web.Handler) http.Handler {
	h := p.Edge.OAuth(methods(m))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Add("Vary", "Origin")
		if origin := r.Header.Values("Origin"); len(origin) == 1 && p.Clients.AllowsOrigin(r.Context(), origin[0]) {
			head.Set("Access-Control-Allow-Origin", origin[0])
			head.Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
			if preflight(r) {
				answerPreflight(w, allowed(m))
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

func answerPreflight(w http.ResponseWriter, allow string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", allow)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Allow", allow)
	w.WriteHeader(http.StatusNoContent)
}
