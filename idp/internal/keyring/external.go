package keyring

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// External makes and holds private keys where this process cannot read them: a hardware security module or a key
// management service. It is called from many goroutines, and may hang: its caller waits only so long.
type External interface {
	// Name says which one it is, the same in every process and for good. It is kept with each key.
	Name() string
	// Create makes a pair for an algorithm and labels it with kid. Errors: ErrAlgorithm for one that it cannot make.
	Create(ctx context.Context, kid, alg string) (crypto.PublicKey, error)
	// Sign signs a digest as crypto.Signer does: ASN.1 for ECDSA.
	Sign(ctx context.Context, kid string, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	// Destroy deletes a pair. One that is not there is no error.
	Destroy(ctx context.Context, kid string) error
}

const (
	// externalMark begins what is sealed in place of a private key: who holds it. PKCS #8 begins otherwise.
	externalMark = "external\x00"
	// signPatience is how long a signature from outside may take.
	signPatience = 2 * time.Second
	// makePatience is how long the making of a pair may take: a small token takes its time over RSA primes.
	makePatience = 30 * time.Second
	// signerRetry is when to come back after it did not answer.
	signerRetry = 5 * time.Second
	// maxOutside bounds calls under way. One that hangs cannot be ended, and keeps its place.
	maxOutside = 64
	kidSize    = 32
)

// outside guards an External: bounded calls with a bounded time.
type outside struct {
	ext   External
	slots chan struct{}
}

func newOutside(e External) *outside { return &outside{e, make(chan struct{}, maxOutside)} }

func (o *outside) name() string { return o.ext.Name() }

// holder returns who holds a pair.
func (r *Ring) holder(name string) (*outside, error) {
	switch {
	case r.outside == nil:
		return nil, fmt.Errorf("it is held by %s, and no signer was given", name)
	case r.outside.name() != name:
		return nil, fmt.Errorf("it is held by %s, not by %s", name, r.outside.name())
	}
	return r.outside, nil
}

// within calls f, and gives up after d or with ctx. Errors: ErrSigner; ErrAlgorithm.
func within[T any](ctx context.Context, o *outside, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	var none T
	select {
	case o.slots <- struct{}{}:
		go func() {
			defer func() { <-o.slots }()
			v, err := f(ctx)
			done <- result{v, err}
		}()
	case <-ctx.Done():
		return none, ErrSigner.Because(fmt.Errorf("%s: %d calls are under way: %w", o.name(), maxOutside, ctx.Err()))
	}
	select {
	case r := <-done:
		if r.err != nil && !errors.Is(r.err, ErrAlgorithm) {
			r.err = ErrSigner.Because(fmt.Errorf("%s: %w", o.name(), r.err))
		}
		return r.v, r.err
	case <-ctx.Done():
		return none, ErrSigner.Because(fmt.Errorf("%s: %w", o.name(), ctx.Err()))
	}
}

// create makes a pair. Its label, and so its id, has to be known before its public part is.
func (o *outside) create(ctx context.Context, alg string) (kid string, public crypto.PublicKey, err error) {
	id := make([]byte, kidSize)
	_, _ = rand.Read(id)
	kid = base64.RawURLEncoding.EncodeToString(id)
	public, err = within(ctx, o, makePatience, func(ctx context.Context) (crypto.PublicKey, error) { return o.ext.Create(ctx, kid, alg) })
	return kid, public, err
}

func (o *outside) destroy(ctx context.Context, kid string) error {
	_, err := within(ctx, o, makePatience, func(ctx context.Context) (struct{}, error) { return struct{}{}, o.ext.Destroy(ctx, kid) })
	return err
}

// signOutside has a payload signed outside, and checks what comes back: a token that answers wrongly, or under another key
// of the same label, must not reach anybody.
func (s *signer) signOutside(ctx context.Context, typ string, payload []byte) (string, error) {
	call := &call{ctx: ctx, s: s}
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.alg), Key: named{cryptosigner.Opaque(call), s.id}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	obj, err := js.Sign(payload)
	if call.err != nil {
		return "", call.err
	}
	if err != nil {
		return "", ErrSigner.Because(err)
	}
	if _, err := obj.Verify(s.public); err != nil {
		return "", ErrSigner.Because(fmt.Errorf("signing key %s: the signature from outside is wrong", s.id))
	}
	return obj.CompactSerialize()
}

// call is one signature as crypto.Signer.
type call struct {
	ctx context.Context //nolint:containedctx // crypto.Signer takes none, and a call lives no longer than its request
	s   *signer
	err error
}

var _ crypto.Signer = (*call)(nil)

// Public implements crypto.Signer.
func (c *call) Public() crypto.PublicKey { return c.s.public }

// Sign implements crypto.Signer.
func (c *call) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	if _, pss := opts.(*rsa.PSSOptions); pss { // the salt is as long as the hash (RFC 7518 §3.5); tokens know no "auto"
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: opts.HashFunc()}
	}
	sig, c.err = within(c.ctx, c.s.outside, signPatience, func(ctx context.Context) ([]byte, error) {
		return c.s.outside.ext.Sign(ctx, c.s.id, digest, opts)
	})
	return sig, c.err
}

// named gives an opaque signer its kid.
type named struct {
	jose.OpaqueSigner
	kid string
}

// Public implements jose.OpaqueSigner.
func (n named) Public() *jose.JSONWebKey {
	k := *n.OpaqueSigner.Public()
	k.KeyID = n.kid
	return &k
}
