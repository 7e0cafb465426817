package client

import (
	"crypto/subtle"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
)

// ErrSecretForm is returned for a secret that this provider could not have made.
var ErrSecretForm = fault.New(fault.Invalid, "client_secret_form",
	`a client secret is made by this provider ("ecs_…", 256 random bits and a checksum): leave client_secret out and one is generated`).At("client_secret")

// NewSecret returns a fresh client secret and what to keep of it. The text is shown once and stored nowhere.
func NewSecret() (text string, hash [32]byte) {
	text = ident.NewToken(ident.ClientSecret)
	return text, ident.Hash(text)
}

// HashSecret returns what to keep of a secret that was made earlier. Errors: ErrSecretForm: a secret that a person chose
// is never taken, because it is kept under a fast hash.
func HashSecret(text string) ([32]byte, error) {
	if !ident.IsToken(ident.ClientSecret, text) {
		return [32]byte{}, ErrSecretForm
	}
	return ident.Hash(text), nil
}

// SecretIs reports whether text is the client's secret, in time that does not depend on how much of it is right. A client
// without a secret matches nothing.
func (c *Client) SecretIs(text string) bool {
	h := ident.Hash(text)
	return subtle.ConstantTimeCompare(h[:], c.SecretHash[:]) == 1 && c.SecretHash != [32]byte{}
}
