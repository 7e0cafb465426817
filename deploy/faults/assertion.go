package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

const signerID = "test-signer"

const signerRegistry = `clients:
  - client_id: {{.ID}}
    client_name: Test signer
    grant_types: [client_credentials]
    scope: cases:stats
    apis: [{{.API}}]
    token_endpoint_auth_method: private_key_jwt
    token_endpoint_auth_signing_alg: ES256
    jwks: {{.Keys}}
`

// signer is a machine that proves who it is with a key of its own.
type signer struct{ jose.Signer }

// registerSigner makes the key and registers the machine.
func registerSigner(ctx context.Context, c launch.Config) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		return nil, err
	}
	if _, err := seed.Register(ctx, c, signerRegistry, map[string]string{"ID": signerID, "API": seed.API, "Keys": string(keys)}); err != nil {
		return nil, err
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	return &signer{s}, err
}

// assertion is a client assertion (RFC 7523 §3) that is good for some minutes, and once.
func (s *signer) assertion(jti, issuer string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": signerID, "sub": signerID, "aud": issuer, "jti": jti, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	jws, err := s.Sign(claims)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// proof is a token request with a client assertion.
type proof struct {
	jti  string
	form url.Values
}

func (d *driver) newProof() (p proof, err error) {
	p = proof{rand.Text(), seed.ForMachine()}
	text, err := d.signer.assertion(p.jti, d.sys.issuer(), time.Now())
	p.form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	p.form.Set("client_assertion", text)
	return p, err
}

const remembered = 16

// prove asks for a token with a client assertion twice at the same time, and once with one from before: from before a fault,
// perhaps.
func (d *driver) prove(ctx context.Context, c *http.Client, choice *dice) {
	fresh, err := d.newProof()
	if err != nil {
		d.fail(err)
		return
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { d.show(ctx, c, fresh) })
	}
	both.Wait()
	d.mu.Lock()
	d.proofs = append(d.proofs, fresh)
	old := d.proofs[choice.roll(len(d.proofs))]
	if len(d.proofs) > remembered {
		d.proofs = d.proofs[1:]
	}
	d.mu.Unlock()
	d.show(ctx, c, old)
}

func (d *driver) show(ctx context.Context, c *http.Client, p proof) {
	d.askMachine(ctx, c, record{Op: opAssert, Once: p.jti}, p.form)
}
