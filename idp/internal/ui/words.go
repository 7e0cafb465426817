package ui

import (
	"strconv"

	"ellis.example/idp/internal/i18n"
)

// ActivityTypes lists the audit events that the activity page has words for.
func ActivityTypes() []string {
	return []string{
		"account.created", "account.changed", "account.updated", "password.changed",
		"signin.password", "signin.factor", "session.started", "session.ended",
		"consent.given", "consent.refused", "consent.withdrawn", "code.issued",
		"token.issued", "token.refreshed", "token.refused", "token.reuse", "token.revoked", "token.introspected", "userinfo.read", "userinfo.refused",
		"factor.enrolled", "factor.removed", "recovery.used", "recovery.renewed",
		"signup.requested", "signup.address_proven", "authorize.refused", "mail.queued", "mail.sent", "mail.dropped",
	}
}

// activity returns the words for an event.
func (w words) activity(a ActivityItem) string {
	if key := i18n.Key("activity." + a.Type); w.lang.Has(key) {
		return w.lang.Text(key)
	}
	return w.text("activity.account.changed")
}

// FaultCodes lists the public codes that the error page has particular words for.
func FaultCodes() []string {
	return []string{
		"form_expired", "cross_site", "host_unknown", "flow_foreign", "flow_not_found", "flow_stale",
		"client_unknown", "redirect_uri_missing", "redirect_uri_unregistered", "logout_redirect_unregistered",
		"signup_expired", "changed_meanwhile",
	}
}

// problem is what an error page says.
type problem struct{ Title, Text string }

// problem chooses the words of a code, else those of a status, else those of 400 or 500. Codes come from our own faults,
// never from a request.
func (w words) problem(p ErrorPage) problem {
	stem := "fault." + p.Code
	if p.Code == "" || !w.lang.Has(i18n.Key(stem+".title")) {
		stem = "status." + strconv.Itoa(p.Status)
	}
	if !w.lang.Has(i18n.Key(stem + ".title")) {
		stem = "status.500"
		if p.Status >= 400 && p.Status < 500 {
			stem = "status.400"
		}
	}
	return problem{w.text(stem + ".title"), w.text(stem + ".text")}
}
