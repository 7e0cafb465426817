package accesstoken

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
)

// ErrInvalid is the fault of every token that is refused. Its message is safe to show; it names the first thing found
// wrong, which helps a developer and tells a forger nothing that the specification does not.
var ErrInvalid = fault.New(fault.Unauthenticated, "invalid_token", "the access token is not valid")

var (
	errSignature  = errors.New("the signature does not verify")
	errUnknownKey = errors.New("the issuer has no such key")
)

// Options configure a Verifier.
type Options struct {
	Issuer   string // exact issuer identifier
	Audience string // exact identifier of this API
	Clock    clock.Clock
	Log      *slog.Logger
	// CountFetch is told of each fetch of the issuer's keys ("ok", "failed"), CountToken of each token ("seen",
	// "verified", "refused", "unavailable"). Both may be nil.
	CountFetch, CountToken func(result string)
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	issuer, audience string
	clock            clock.Clock
	keys             *issuer
	seen             cache
	count            func(string)
}

// New returns a Verifier. It asks nobody anything yet: the service starts while the issuer is down.
func New(o Options) *Verifier {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, f := range []*func(string){&o.CountFetch, &o.CountToken} {
		if *f == nil {
			*f = func(string) {}
		}
	}
	return &Verifier{
		issuer: o.Issuer, audience: o.Audience, clock: o.Clock, count: o.CountToken,
		keys: &issuer{url: o.Issuer, client: newClient(), clock: o.Clock, log: o.Log, count: o.CountFetch},
	}
}

// Warm fetches the keys, so that the first caller need not wait for them.
func (v *Verifier) Warm(ctx context.Context) error {
	_, err := v.keys.current(ctx)
	return err
}

// Healthy reports whether tokens can be verified now, without asking anybody.
func (v *Verifier) Healthy() bool {
	set := v.keys.set.Load()
	return set != nil && v.clock.Now().Sub(set.fetched) < KeysStale
}

// Remembered returns how many tokens are in memory.
func (v *Verifier) Remembered() int { return v.seen.len() }

// Verify returns who the token speaks of. Errors: ErrInvalid with what is wrong, ErrUnreachable with when to come back.
func (v *Verifier) Verify(ctx context.Context, token string) (*cases.Caller, error) {
	c, result, err := v.verify(ctx, token)
	v.count(result)
	return c, err
}

func (v *Verifier) verify(ctx context.Context, token string) (*cases.Caller, string, error) {
	if len(token) > maxToken {
		return refuse(errSize)
	}
	sum := sha256.Sum256([]byte(token))
	now := v.clock.Now()
	if r, ok := v.seen.get(sum); ok && r.caller != nil {
		set, err := v.keys.current(ctx)
		if err != nil {
			return nil, "unavailable", err
		}
		if now.Before(r.caller.Expires) && set.holds(r.key) {
			return r.caller, "seen", nil
		}
		v.seen.drop(sum)
	}
	return v.verifyNew(ctx, token, sum, now)
}

// verifyNew verifies a token that is not in memory. Claims are looked at before the key is: refusing early is safe, and
// only a token that would otherwise be accepted may cause a fetch.
func (v *Verifier) verifyNew(ctx context.Context, token string, sum [32]byte, now time.Time) (*cases.Caller, string, error) {
	parts, err := parseCompact(token)
	if err != nil {
		return refuse(err)
	}
	caller, err := v.callerOf(parts.claims, now)
	if err != nil {
		return refuse(err)
	}
	k, err := v.keys.find(ctx, parts.kid)
	if err != nil {
		return nil, "unavailable", err
	}
	if k == nil {
		return refuse(errUnknownKey)
	}
	if err := checkSignature(token, parts.alg, k); err != nil {
		return refuse(err)
	}
	v.seen.put(sum, remembered{caller: caller, key: k})
	return caller, "verified", nil
}

// checkSignature verifies the signature with the one algorithm that both the header names and the key allows.
func checkSignature(token string, alg jose.SignatureAlgorithm, k *key) error {
	if !slices.Contains(k.algs, alg) {
		return errAlg
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return errCompact
	}
	if _, err := jws.Verify(&k.jwk); err != nil {
		return errSignature
	}
	return nil
}

func refuse(why error) (*cases.Caller, string, error) {
	e := ErrInvalid.Because(why)
	e.Message = why.Error()
	return nil, "refused", e
}
