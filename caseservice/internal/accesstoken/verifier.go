package accesstoken

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

// ErrInvalid is the fault of every token that is refused. Its message is safe to show; it names the first thing found
// wrong, which helps a developer and tells a forger nothing that the specification does not.
var ErrInvalid = fault.New(fault.Unauthenticated, "invalid_token", "the access token is not valid")

var errUnknownKey = errors.New("the issuer has no such key")

// Revocations knows which tokens were revoked before their end.
type Revocations interface {
	// Check reports whether a token with this text still stands. Errors: feed.ErrRevoked, feed.ErrUnknown.
	Check(ctx context.Context, t *feed.Token, text string) error
}

// Options configure a Verifier.
type Options struct {
	Issuer      *issuer.Issuer
	Audience    string // exact identifier of this API
	Revocations Revocations
	Clock       clock.Clock // clock.System when nil
	// CountToken is told of each token: "seen", "verified", "refused", "revoked", "unavailable". It may be nil.
	CountToken func(result string)
}

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	issuer      *issuer.Issuer
	audience    string
	revocations Revocations
	clock       clock.Clock
	seen        cache
	count       func(string)
}

// New returns a Verifier. It asks nobody anything yet: the service starts while the issuer is down.
func New(o Options) *Verifier {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.CountToken == nil {
		o.CountToken = func(string) {}
	}
	return &Verifier{issuer: o.Issuer, audience: o.Audience, revocations: o.Revocations, clock: o.Clock, count: o.CountToken}
}

// Remembered returns how many tokens are in memory.
func (v *Verifier) Remembered() int { return v.seen.len() }

// Verify returns who the token speaks of. Errors: ErrInvalid with what is wrong, feed.ErrRevoked, and issuer.ErrUnreachable
// or feed.ErrUnknown with when to come back.
func (v *Verifier) Verify(ctx context.Context, token string) (*cases.Caller, error) {
	c, result, err := v.verify(ctx, token)
	v.count(result)
	return c, err
}

// verify looks at revocations last, and for every token: what it is told of between its begin and its end is in time.
func (v *Verifier) verify(ctx context.Context, token string) (*cases.Caller, string, error) {
	r, result, err := v.known(ctx, token)
	if err != nil {
		return nil, result, err
	}
	if err := v.revocations.Check(ctx, r.token, token); err != nil {
		if fault.Is(err, fault.Unavailable) {
			return nil, "unavailable", err
		}
		return nil, "revoked", err
	}
	return r.caller, result, nil
}

// known returns a token that was verified, now or before.
func (v *Verifier) known(ctx context.Context, token string) (remembered, string, error) {
	if len(token) > issuer.MaxJWS {
		return refuse(issuer.ErrSize)
	}
	sum := sha256.Sum256([]byte(token))
	now := v.clock.Now()
	if r, ok := v.seen.get(sum); ok && r.caller != nil {
		held, err := v.issuer.Holds(ctx, r.key)
		if err != nil {
			return remembered{}, "unavailable", err
		}
		if held && now.Before(r.caller.Expires) {
			return r, "seen", nil
		}
		v.seen.drop(sum)
	}
	return v.verifyNew(ctx, token, sum, now)
}

// verifyNew verifies a token that is not in memory. Claims are looked at before the key is: refusing early is safe, and
// only a token that would otherwise be accepted may cause a fetch.
func (v *Verifier) verifyNew(ctx context.Context, token string, sum [32]byte, now time.Time) (remembered, string, error) {
	jws, err := issuer.Parse(token, "at+jwt", "application/at+jwt") // RFC 9068 §4
	if err != nil {
		return refuse(err)
	}
	caller, issued, err := v.callerOf(jws.Claims, now)
	if err != nil {
		return refuse(err)
	}
	k, err := v.issuer.Find(ctx, jws.KID)
	if err != nil {
		return remembered{}, "unavailable", err
	}
	if k == nil {
		return refuse(errUnknownKey)
	}
	if err := jws.Verify(k); err != nil {
		return refuse(err)
	}
	r := remembered{caller: caller, key: k, token: &feed.Token{
		Sum: sum, JTI: caller.JTI, SID: caller.SID, Txn: caller.Txn, Sub: caller.Sub, KID: k.ID(), Issued: issued, Machine: caller.Machine(),
	}}
	v.seen.put(sum, r)
	return r, "verified", nil
}

func refuse(why error) (remembered, string, error) {
	e := ErrInvalid.Because(why)
	e.Message = why.Error()
	return remembered{}, "refused", e
}
