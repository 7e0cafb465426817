package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
)

// typ header parameters, so that one kind of token never passes for another (RFC 8725 §3.11).
const (
	typAccessToken = "at+jwt" // RFC 9068 §2.1
	typIDToken     = "JWT"
)

// accessClaims are the claims of an access token (RFC 9068 §2.2).
type accessClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	Issued   int64    `json:"iat"`
	JTI      string   `json:"jti"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	Session  string   `json:"sid,omitempty"`
	Txn      string   `json:"txn,omitempty"`
}

// access is a new access token.
type access struct {
	text   string
	claims accessClaims
	seen   *audit.Seen
}

// sign completes the claims and makes the token.
func (p *Provider) sign(ctx context.Context, t target, c accessClaims) (access, error) {
	now := p.Clock.Now()
	c.Issuer, c.Audience, c.JTI = p.issuer, p.audience(t), ident.InOrder("jti")
	c.Issued, c.Expires = now.Unix(), now.Add(AccessTokenLifetime).Unix()
	text, err := p.Keys.Sign(ctx, t.alg(), typAccessToken, c)
	return access{text, c, &audit.Seen{Audience: c.Audience, Subject: c.Subject, Session: c.Session, Txn: c.Txn}}, err
}

// personal makes an access token on a grant: subject, session and transaction as this audience alone knows them.
func (p *Provider) personal(ctx context.Context, g grant.Grant, t target, scopes []string) (access, error) {
	key := "api:" + t.id()
	return p.sign(ctx, t, accessClaims{
		Subject: p.Keys.Pairwise("api", t.id(), g.Account), ClientID: g.Client, Scope: t.scope(scopes),
		ACR: g.ACR, AMR: g.AMR, AuthTime: g.AuthTime.Unix(), Session: p.Keys.Pairwise("sid", key, g.Session), Txn: p.Keys.Pairwise("txn", key, g.Txn),
	})
}

// machine makes an access token for a client itself.
func (p *Provider) machine(ctx context.Context, c *client.Entry, t target, scopes []string, txn string) (access, error) {
	return p.sign(ctx, t, accessClaims{Subject: c.ID, ClientID: c.ID, Scope: t.scope(scopes), Txn: p.Keys.Pairwise("txn", "api:"+t.id(), txn)})
}

// row is what is kept of a token.
func (a access) row(g grant.Grant, family string, t target) grant.AccessToken {
	return grant.AccessToken{
		JTI: a.claims.JTI, Grant: g.ID, Family: family, API: t.id(), Scope: a.claims.Scope,
		At: time.Unix(a.claims.Issued, 0).UTC(), ExpiresAt: time.Unix(a.claims.Expires, 0).UTC(),
	}
}

// identity are the claims of an ID token (OpenID Connect Core §2).
type identity struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	Issued   int64    `json:"iat"`
	AuthTime int64    `json:"auth_time"`
	JTI      string   `json:"jti"`
	Nonce    string   `json:"nonce,omitempty"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	ATHash   string   `json:"at_hash"`
	Session  string   `json:"sid"`
}

// idToken makes an ID token that goes with an access token. nonce is empty at a refresh (§12.2).
func (p *Provider) idToken(ctx context.Context, c *client.Entry, g grant.Grant, accessToken, nonce string) (string, error) {
	now := p.Clock.Now()
	hash, err := leftHalf(c.IDTokenAlg, accessToken)
	if err != nil {
		return "", err
	}
	return p.Keys.Sign(ctx, c.IDTokenAlg, typIDToken, identity{
		Issuer: p.issuer, Subject: p.subject(c, g.Account), Audience: c.ID, Issued: now.Unix(), Expires: now.Add(IDTokenLifetime).Unix(),
		AuthTime: g.AuthTime.Unix(), JTI: ident.New("idt"), Nonce: nonce, ACR: g.ACR, AMR: g.AMR, ATHash: hash,
		Session: p.Keys.Pairwise("sid", "client:"+c.ID, g.Session),
	})
}

// leftHalf is at_hash: the left half of the hash that the signature algorithm uses (OpenID Connect Core §3.1.3.6).
func leftHalf(alg, token string) (string, error) {
	switch alg {
	case "RS256", "ES256", "PS256":
		h := sha256.Sum256([]byte(token))
		return base64.RawURLEncoding.EncodeToString(h[:16]), nil
	case "EdDSA":
		h := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(h[:32]), nil
	}
	return "", fault.New(fault.Internal, "id_token_alg", "no at_hash is defined for "+alg)
}

// onlyOurs swallows the error of a token that is not ours, and keeps those of the store.
func onlyOurs(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return nil
	}
	return err
}
