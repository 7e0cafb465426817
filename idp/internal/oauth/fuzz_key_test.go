package oauth

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/clock"
)

// testKey is the key of a client: from a fixed seed, so that a failing input stays one.
type testKey struct{ ed25519.PrivateKey }

func signingKey() testKey { return testKey{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))} }

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// sign makes a compact JWS of a text.
func (k testKey) sign(t testing.TB, payload string) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: k.PrivateKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := o.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// clients is a source of one client.
type clients []client.Client

func (c clients) Clients(context.Context) ([]client.Client, error) { return c, nil }
func (clients) ClientsVersion(context.Context) (int64, error)      { return 1, nil }

// entry is a client with the key.
func (k testKey) entry(id string) *client.Entry {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.Public()}}})
	if err != nil {
		panic(err)
	}
	c := clients{{ID: id, TokenEndpointAuth: client.AuthPrivateKey, JWKS: set}}
	e, err := client.NewCache(c, clock.NewFake(t0)).Get(context.Background(), id)
	if err != nil {
		panic(err)
	}
	return e
}
