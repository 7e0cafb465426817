package client

import (
	"slices"
	"strings"
)

// Confidential reports whether the client authenticates.
func (c *Client) Confidential() bool { return c.TokenEndpointAuth != AuthNone }

// HasSecret reports whether the client authenticates with a secret.
func (c *Client) HasSecret() bool {
	return c.TokenEndpointAuth == AuthBasic || c.TokenEndpointAuth == AuthPost
}

// HasGrant reports whether the client may use a grant type.
func (c *Client) HasGrant(g string) bool { return slices.Contains(c.GrantTypes, g) }

// HasScope reports whether the client may ask for a scope. Scopes are compared exactly; there are no wildcards.
func (c *Client) HasScope(s string) bool {
	for have := range strings.FieldsSeq(c.Scope) {
		if have == s {
			return true
		}
	}
	return false
}

// HasAPI reports whether the client may get tokens for the API with the given id.
func (c *Client) HasAPI(id string) bool { return slices.Contains(c.APIs, id) }

// HasResponseMode reports whether the client may ask for a response mode.
func (c *Client) HasResponseMode(m string) bool { return slices.Contains(c.ResponseModes, m) }

// Rotates reports whether the client's refresh tokens are replaced at every use. Those of a client that proves itself with
// a private key are useless to anybody else, and losing a rotation would cost a sign-in for nothing.
func (c *Client) Rotates() bool { return c.TokenEndpointAuth != AuthPrivateKey }

// NeverRemember reports whether consent must be asked every time for an answer to redirectURI: a native client whose
// redirect anybody on the device can claim (RFC 8252 §8.6).
func (c *Client) NeverRemember(redirectURI string) bool {
	return c.ApplicationType == Native && Claimable(redirectURI)
}

// Pairwiser derives the identifier that an audience knows something by. It is implemented by keyring.Ring.
type Pairwiser interface {
	Pairwise(kind, audience, internal string) string
}

// Subject is what the client knows an account by (OpenID Connect Core §8).
func (c *Client) Subject(p Pairwiser, account string) string {
	if c.SubjectType == Public {
		return account
	}
	return p.Pairwise("client", c.ID, account)
}

// Origins returns the origins that a browser client calls from: those of a public web client's redirect URIs.
func (c *Client) Origins() []string {
	if c.Confidential() || c.ApplicationType != Web {
		return nil
	}
	var out []string
	for _, u := range c.RedirectURIs {
		if o := OriginOf(u); o != "" && !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}
