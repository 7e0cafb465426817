package keyring

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxToken bounds what Verify reads.
const maxToken = 16 << 10

// Sign returns claims as a compact JWS (RFC 7515 §7.1) by the active pair of alg, with kid and typ in its header. claims is
// anything that encodes as a JSON object. Errors: ErrNoKey; ErrSigner; those of the store while no keys are known.
func (r *Ring) Sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	v, err := r.view.Get(ctx)
	if err != nil {
		return "", err
	}
	s := v.signers[alg]
	if s == nil {
		return "", ErrNoKey.Because(fmt.Errorf("algorithm %q", alg))
	}
	if s.err != nil {
		return "", ErrNoKey.Because(s.err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if s.outside != nil {
		return s.signOutside(ctx, typ, payload)
	}
	return s.compact(typ, payload)
}

// Verify returns the claims of a token that a published pair signed with one of the given typ values (RFC 8725 §3.11). It
// checks nothing else: iss, aud and exp are the caller's. Errors: ErrToken.
func (r *Ring) Verify(ctx context.Context, compact string, types ...string) (claims []byte, err error) {
	return r.verify(ctx, compact, types, func(s State) bool { return s != Retired })
}

// VerifyOld is Verify with retired pairs too, for what may be old by nature: an id_token_hint (OpenID Connect RP-Initiated
// Logout §2).
func (r *Ring) VerifyOld(ctx context.Context, compact string, types ...string) (claims []byte, err error) {
	return r.verify(ctx, compact, types, func(State) bool { return true })
}

// Read is Verify for a token that may be shown again: it returns what read makes of the claims, which is remembered when it is.
// All who show it share it, and nobody changes it. It is for one read alone. Errors: ErrToken, also where read returns nil.
func (r *Ring) Read(ctx context.Context, compact, typ string, read func(claims []byte) any) (any, error) {
	t, _, err := r.find(ctx, compact, read)
	if err != nil {
		return nil, err
	}
	if t.state == Retired || t.typ != typ || t.read == nil {
		return nil, ErrToken
	}
	return t.read, nil
}

func (r *Ring) verify(ctx context.Context, compact string, types []string, good func(State) bool) ([]byte, error) {
	t, claims, err := r.find(ctx, compact, nil)
	if err != nil {
		return nil, err
	}
	if !good(t.state) || !slices.Contains(types, t.typ) {
		return nil, ErrToken
	}
	if claims == nil {
		return payload(compact)
	}
	return claims, nil
}

// find returns what is known of a token, and its claims if they were looked at now.
func (r *Ring) find(ctx context.Context, compact string, read func(claims []byte) any) (t verified, claims []byte, err error) {
	v, err := r.view.Get(ctx)
	if err != nil {
		return t, nil, err
	}
	if len(compact) > maxToken {
		return t, nil, ErrToken
	}
	sum := sha256.Sum256([]byte(compact))
	t, known := v.seen.get(sum)
	switch {
	case !known: // most tokens are shown once: what is made of them is kept from the second time on
		if t, claims, err = v.verify(compact); err != nil {
			return t, nil, err
		}
		v.seen.put(sum, t)
	case read == nil || t.read != nil:
		return t, nil, nil
	default:
		if claims, err = payload(compact); err != nil {
			return t, nil, err
		}
	}
	if read == nil {
		return t, claims, nil
	}
	t.read = read(claims)
	if known {
		v.seen.put(sum, t)
	}
	return t, claims, nil
}

// payload returns the claims of a token that was verified.
func payload(compact string) ([]byte, error) {
	_, rest, _ := strings.Cut(compact, ".")
	part, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.DecodeString(part)
}

// Uses tell how keys and verified tokens are kept in memory.
type Uses struct {
	Keys         int   // that are published or may verify
	Reads        int64 // of the keys from the store
	Tokens       int   // whose signature is remembered
	Hits, Misses int64 // of those, since the keys were last read
}

// Uses returns what is in memory.
func (r *Ring) Uses() (u Uses) {
	v, reads := r.view.Peek()
	if v != nil {
		u = v.seen.uses()
		u.Keys = len(v.public)
	}
	u.Reads = reads
	return u
}

// accepted are the algorithms of tokens.
var accepted = func() (out []jose.SignatureAlgorithm) {
	for _, a := range Algorithms {
		out = append(out, jose.SignatureAlgorithm(a))
	}
	return out
}()

// verify checks form and signature of a token with one set of keys.
func (v *ready) verify(compact string) (t verified, claims []byte, err error) {
	if !canonical(compact) {
		return t, nil, ErrToken
	}
	obj, err := jose.ParseSignedCompact(compact, accepted)
	if err != nil {
		return t, nil, ErrToken.Because(err)
	}
	h := obj.Signatures[0].Protected
	k, known := v.public[h.KeyID]
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	if !known || k.key.Algorithm != h.Algorithm {
		return t, nil, ErrToken
	}
	if claims, err = obj.Verify(k.key.Key); err != nil {
		return t, nil, ErrToken.Because(err)
	}
	return verified{typ: typ, state: k.state}, claims, nil
}

// canonical takes three parts of base64url without padding, line breaks or stray bits: one token has one text.
func canonical(compact string) bool {
	if len(compact) > maxToken || strings.Count(compact, ".") != 2 || strings.ContainsAny(compact, "\r\n") {
		return false
	}
	for part := range strings.SplitSeq(compact, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); part == "" || err != nil {
			return false
		}
	}
	return true
}
