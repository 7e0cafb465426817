package oauth

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxCredential bounds a client_id or secret, in bytes.
const maxCredential = 512

// parseBasic reads HTTP Basic credentials of a client (RFC 6749 §2.3.1): strict base64, one colon at least, each part form-
// encoded. ok is false for anything else.
func parseBasic(header string) (id, secret string, ok bool) {
	scheme, rest, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Basic") || len(rest) > 4*maxCredential {
		return "", "", false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil || strings.ContainsAny(rest, "\r\n") {
		return "", "", false
	}
	user, pass, found := strings.Cut(string(b), ":")
	if !found {
		return "", "", false
	}
	if id, err = url.QueryUnescape(user); err != nil {
		return "", "", false
	}
	if secret, err = url.QueryUnescape(pass); err != nil {
		return "", "", false
	}
	ok = id != "" && len(id) <= maxCredential && len(secret) <= maxCredential && utf8.ValidString(id) && utf8.ValidString(secret)
	return id, secret, ok
}
