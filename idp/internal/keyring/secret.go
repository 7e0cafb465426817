package keyring

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/unit"
)

const (
	secretSize     = 32
	pairwiseSecret = "pairwise"
	patience       = 5 * time.Second
)

// Pairwise derives the identifier that an audience knows something by (OpenID Connect Core §8.1): 43 characters of
// base64url(HMAC-SHA256). kind is "api", "client", "sid" or "txn"; audience is the API's id, the client's id, or
// "api:<id>"/"client:<id>" for sid and txn; internal is our own identifier. Two audiences cannot join what they were given.
// It panics when Ensure has not succeeded: a subject under no secret must never leave.
func (r *Ring) Pairwise(kind, audience, internal string) string {
	key, ok := r.secrets.Load(pairwiseSecret)
	if !ok {
		panic("keyring: Pairwise before Ensure")
	}
	mac := hmac.New(sha256.New, key.([]byte))
	for _, part := range []string{kind, audience, internal} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		_, _ = mac.Write(n[:])
		_, _ = mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Secret returns the 256-bit secret of the given name, made at its first use, the same in every process and for good. Callers
// must not change it. Errors: seal.ErrOpen; those of the store.
func (r *Ring) Secret(name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.secret(ctx, name)
}

func (r *Ring) secret(ctx context.Context, name string) ([]byte, error) {
	if s, ok := r.secrets.Load(name); ok {
		return s.([]byte), nil
	}
	plain, err := r.readSecret(ctx, name)
	if errors.Is(err, ErrNoSecret) {
		if err := r.makeSecret(ctx, name); err != nil && !unit.IsConflict(err) {
			return nil, err
		}
		plain, err = r.readSecret(ctx, name) // ours, or that of whoever was first
	}
	if err != nil {
		return nil, err
	}
	r.secrets.Store(name, plain)
	return plain, nil
}

func (r *Ring) readSecret(ctx context.Context, name string) ([]byte, error) {
	sealed, err := r.d.Store.SealedSecret(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.d.Seal.Open(sealed, SecretOwner(name))
}

func (r *Ring) makeSecret(ctx context.Context, name string) error {
	plain := make([]byte, secretSize)
	_, _ = rand.Read(plain)
	sealed, err := r.d.Seal.Seal(plain, SecretOwner(name))
	if err != nil {
		return err
	}
	return r.d.Commit.Commit(ctx, unit.Unit{
		Writes: []unit.Write{AddSecret{name, sealed, r.d.Clock.Now()}},
		Event:  audit.Event{Type: "secret.created", Outcome: audit.Allowed, Actor: r.d.Actor, Detail: map[string]string{"name": name}},
	})
}

// SecretOwner is what a secret is bound to where it is sealed.
func SecretOwner(name string) string { return "secret\x00" + name }
