package issuer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/caseservice/internal/issuer"
)

// published is an issuer's key set, and how often it was fetched.
type published struct {
	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetches int
}

// publish replaces the keys by new ones with these kids.
func (p *published) publish(t *testing.T, kids ...string) {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: "ES256", Use: "sig"})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = set
}

func (p *published) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// RoundTrip implements http.RoundTripper.
func (p *published) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var doc any = map[string]string{"issuer": "https://id.example", "jwks_uri": "https://id.example/jwks", "ellis_events_endpoint": "https://id.example/events"}
	if r.URL.Path == "/jwks" {
		p.fetches++
		doc = p.keys
	}
	text, err := json.Marshal(doc)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, err
}

func finds(t *testing.T, i *issuer.Issuer, kid string) *issuer.Key {
	t.Helper()
	k, err := i.Find(t.Context(), kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The replica that is asked first may not know yet that a key is revoked. Nobody need ask for an unknown key to end it.
func TestChanged_ARevokedKeyThatAReplicaStillNamedIsGoneSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &published{}
		p.publish(t, "old")
		i := issuer.New(issuer.Options{URL: "https://id.example", Transport: p})
		old := finds(t, i, "old")
		i.Changed()
		synctest.Wait()
		p.publish(t, "next")
		if held, err := i.Holds(t.Context(), old); !held || err != nil {
			t.Errorf("before the replicas agree: %v, %v", held, err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if held, err := i.Holds(t.Context(), old); held || err != nil {
			t.Errorf("after it: %v, %v", held, err)
		}
		if n := p.count(); n != 3 {
			t.Errorf("%d fetches", n)
		}
	})
}

// While keys change, unknown ones are asked for without an allowance: at a pace, whoever sends them and however many.
func TestChanged_StrangersHaveTheKeysFetchedAtAPaceAndNotForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &published{}
		p.publish(t, "old")
		i := issuer.New(issuer.Options{URL: "https://id.example", Transport: p})
		finds(t, i, "old")
		i.Changed()
		synctest.Wait()
		flood := func(d time.Duration) (fetches int) {
			before := p.count()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(d / 1000) {
				finds(t, i, "of-a-stranger")
			}
			return p.count() - before
		}
		if n := flood(time.Second); n < 3 || n > 5 {
			t.Errorf("%d fetches in a second", n)
		}
		if n := flood(4 * time.Second); n > 21 {
			t.Errorf("%d fetches in four seconds more", n)
		}
		if n := flood(time.Minute); n > 1 {
			t.Errorf("%d fetches in the minute after it", n)
		}
	})
}
