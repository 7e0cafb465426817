package oauth

import (
	"net/http"
	"net/url"
	"strings"

	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/web"
)

// answer sends an authorization response to the client, with the issuer's name (RFC 9207) and the state as it was sent.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, to reply, params url.Values) error {
	params.Set("iss", p.issuer)
	if to.state != "" {
		params.Set("state", to.state)
	}
	if to.mode == "form_post" {
		return p.formPost(w, r, to, params)
	}
	redirect(w, withQuery(to.redirect, params))
	return nil
}

// withQuery adds parameters to a registered URI without reading or changing the rest of it.
func withQuery(uri string, params url.Values) string {
	switch {
	case len(params) == 0:
		return uri
	case !strings.Contains(uri, "?"):
		return uri + "?" + params.Encode()
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + params.Encode()
	}
	return uri + "&" + params.Encode()
}

// redirect answers 303, so that nothing is posted on (RFC 9700 §4.12). The Location is sent as it is: http.Redirect would
// clean it.
func redirect(w http.ResponseWriter, to string) {
	w.Header()["Location"] = []string{to}
	w.WriteHeader(http.StatusSeeOther)
}

// formPost answers with a form (OAuth 2.0 Form Post Response Mode §2).
func (p *Provider) formPost(w http.ResponseWriter, r *http.Request, to reply, params url.Values) error {
	page := ui.FormPost{App: app(to), Action: to.redirect}
	for _, name := range []string{"code", "error", "error_description", "state", "iss"} {
		if params.Has(name) {
			page.Fields = append(page.Fields, ui.Hidden{Name: name, Value: params.Get(name)})
		}
	}
	web.AllowFormTarget(w, web.FormTarget(to.redirect))
	return p.Show(w, r, http.StatusOK, page)
}

// app is a client as people see it.
func app(to reply) *ui.App {
	a := &ui.App{Name: to.client.Name}
	if u, err := url.Parse(to.redirect); err == nil {
		a.Host = u.Hostname()
	}
	return a
}
