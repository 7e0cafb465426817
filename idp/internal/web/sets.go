package web

import (
	"encoding/json"
	"net/http"

	"ellis.example/idp/internal/shed"
)

// Events serves h on a route of security events: never cached, errors as RFC 8936 §2.6 and RFC 8935 §2.3 have them.
func (e *Edge) Events(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := named(r)
		w.Header()["Cache-Control"] = noStore
		err := readable(r)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			info.cause = err
			writeEvents(w, OAuthOf(err, info.ID))
		}
	})
}

// readable refuses a body that is too large or nested too deeply, whoever sends it. Errors: that of a body that is too large,
// shed.ErrDeep.
func readable(r *http.Request) error {
	if _, err := shed.Text(r); tooLarge(err) {
		return err
	}
	return shed.JSONInBounds(r)
}

func writeEvents(w http.ResponseWriter, o *OAuthError) {
	code := o.Code
	if code == "invalid_client" {
		code = "authentication_failed" // RFC 8935 §2.4
	}
	body, err := json.Marshal(struct {
		Err         string `json:"err"`
		Description string `json:"description,omitempty"`
	}{code, o.Description})
	if err != nil {
		body = []byte(`{"err":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Language", "en")
	if o.Challenge != "" {
		h.Set("WWW-Authenticate", o.Challenge)
	}
	setRetryAfter(h, o.RetryAfter)
	w.WriteHeader(o.Status)
	_, _ = w.Write(body) // the client may be gone
}
