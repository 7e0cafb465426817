//go:build pkcs11

package pkcs11

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/ThalesGroup/crypto11"

	"ellis.example/idp/internal/keyring"
)

const (
	rsaBits  = 2048
	sessions = 32 // at once: more is more than small modules allow
)

// Token is one token. A connection that fails is opened again by the next call. It is safe for concurrent use.
type Token struct {
	module, label, pin string

	mu   sync.Mutex
	conn *conn
}

// conn is a logged-in connection with the pairs that were looked up through it.
type conn struct {
	ctx   *crypto11.Context
	pairs sync.Map // kid → crypto11.Signer
}

var _ keyring.External = (*Token)(nil)

// Open loads a module (the path of a shared library) and logs in to the token of a label. Errors: what the module says; a
// wrong PIN among it. Each wrong one counts towards the token's limit.
func Open(module, label, pin string) (*Token, error) {
	t := &Token{module: module, label: label, pin: pin}
	_, err := t.connect()
	return t, err
}

// Name implements keyring.External.
func (t *Token) Name() string { return "pkcs11:token=" + t.label }

// Close logs out.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	c := t.conn
	t.conn = nil
	return c.ctx.Close()
}

func (t *Token) connect() (*conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		return t.conn, nil
	}
	ctx, err := crypto11.Configure(&crypto11.Config{Path: t.module, TokenLabel: t.label, Pin: t.pin, MaxSessions: sessions})
	if err != nil {
		return nil, err
	}
	t.conn = &conn{ctx: ctx}
	return t.conn, nil
}

// drop gives a failed connection up. Closing waits for calls that may hang.
func (t *Token) drop(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == c {
		t.conn = nil
		go func() { _ = c.ctx.Close() }() // it failed before
	}
}

var errNoPair = errors.New("no such pair")

func (c *conn) find(kid string) (crypto11.Signer, error) {
	if p, ok := c.pairs.Load(kid); ok {
		return p.(crypto11.Signer), nil
	}
	list, err := c.ctx.FindKeyPairs([]byte(kid), []byte(kid))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNoPair
	}
	c.pairs.Store(kid, list[0])
	return list[0], nil
}

// with calls f on a connection, and gives the connection up when f fails.
func (t *Token) with(ctx context.Context, f func(*conn) error) error {
	if err := ctx.Err(); err != nil { // its caller is gone: the call waited for one that hangs
		return err
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	err = f(c)
	if err != nil && !errors.Is(err, errNoPair) {
		t.drop(c)
	}
	return err
}

// Create implements keyring.External: P-256 and RSA with 2048 bits.
func (t *Token) Create(ctx context.Context, kid, alg string) (public crypto.PublicKey, err error) {
	if alg != "ES256" && alg != "RS256" && alg != "PS256" {
		return nil, fmt.Errorf("%s: %w", alg, keyring.ErrAlgorithm)
	}
	err = t.with(ctx, func(c *conn) error {
		pub, private, err := attributes(kid)
		if err != nil {
			return err
		}
		var s crypto.Signer
		if alg == "ES256" {
			s, err = c.ctx.GenerateECDSAKeyPairWithAttributes(pub, private, elliptic.P256())
		} else {
			s, err = c.ctx.GenerateRSAKeyPairWithAttributes(pub, private, rsaBits)
		}
		if err == nil {
			public = s.Public()
		}
		return err
	})
	return public, err
}

// attributes are those of a pair that signs and does nothing else. That the private part is sensitive and cannot be taken
// out is the library's default, and said here all the same.
func attributes(kid string) (public, private crypto11.AttributeSet, err error) {
	if public, err = crypto11.NewAttributeSetWithIDAndLabel([]byte(kid), []byte(kid)); err != nil {
		return nil, nil, err
	}
	private = public.Copy()
	for _, a := range []struct {
		set   crypto11.AttributeSet
		name  crypto11.AttributeType
		value bool
	}{
		{public, crypto11.CkaEncrypt, false}, {private, crypto11.CkaDecrypt, false},
		{private, crypto11.CkaSensitive, true}, {private, crypto11.CkaExtractable, false}, {private, crypto11.CkaPrivate, true},
	} {
		if err := a.set.Set(a.name, a.value); err != nil {
			return nil, nil, err
		}
	}
	return public, private, nil
}

// Sign implements keyring.External.
func (t *Token) Sign(ctx context.Context, kid string, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	err = t.with(ctx, func(c *conn) error {
		p, err := c.find(kid)
		if err == nil {
			sig, err = p.Sign(rand.Reader, digest, opts)
		}
		return err
	})
	return sig, err
}

// Destroy implements keyring.External.
func (t *Token) Destroy(ctx context.Context, kid string) error {
	err := t.with(ctx, func(c *conn) error {
		p, err := c.find(kid)
		if err != nil {
			return err
		}
		c.pairs.Delete(kid)
		return p.Delete()
	})
	if errors.Is(err, errNoPair) {
		return nil
	}
	return err
}
