package keyring_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/unit"
)

// token is an External in memory that can be told to fail.
type token struct {
	mu    sync.Mutex
	pairs map[string]crypto.Signer
	fail  error
	hang  chan struct{} // calls wait for it
	swap  bool          // signs with another pair
}

func newToken() *token { return &token{pairs: map[string]crypto.Signer{}} }

func (*token) Name() string { return "memory:test" }

func (t *token) begin() error {
	t.mu.Lock()
	fail, hang := t.fail, t.hang
	t.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return fail
}

func (t *token) set(fail error, hang chan struct{}, swap bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail, t.hang, t.swap = fail, hang, swap
}

func (t *token) Create(_ context.Context, kid, alg string) (crypto.PublicKey, error) {
	if err := t.begin(); err != nil {
		return nil, err
	}
	var s crypto.Signer
	var err error
	switch alg {
	case "ES256":
		s, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		s, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = keyring.ErrAlgorithm
	}
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pairs[kid] = s
	return s.Public(), nil
}

func (t *token) Sign(_ context.Context, kid string, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := t.begin(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	s, swap := t.pairs[kid], t.swap
	t.mu.Unlock()
	if s == nil {
		return nil, errors.New("no such pair")
	}
	if swap {
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		s = other
	}
	return s.Sign(rand.Reader, digest, opts)
}

func (t *token) Destroy(_ context.Context, kid string) error {
	if err := t.begin(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pairs, kid)
	return nil
}

func (t *token) kids() (out []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.pairs {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// ringWith is ring with somebody outside who holds the keys.
func (b *bench) ringWith(t *testing.T, ext keyring.External) *keyring.Ring {
	t.Helper()
	s, err := seal.New(b.kek)
	if err != nil {
		t.Fatal(err)
	}
	st := sqltest.OpenAt(t, b.path, b.clk)
	return keyring.New(keyring.Deps{Store: st, Commit: st, Seal: s, Clock: b.clk, External: ext})
}

func live(t *testing.T, r *keyring.Ring) (out []string) {
	t.Helper()
	list, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if k.State != keyring.Retired && k.State != keyring.Discarded {
			out = append(out, k.ID)
		}
	}
	slices.Sort(out)
	return out
}

func TestExternal_SignsWithoutEverHandingOutAKey(t *testing.T) {
	t.Parallel()
	b, ext := newBench(t), newToken()
	r := b.ringWith(t, ext)
	if err := r.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kids := live(t, r); !slices.Equal(kids, ext.kids()) || len(kids) != 4 {
		t.Fatalf("%v are kept, %v are held", kids, ext.kids())
	}
	replica := b.ringWith(t, ext)
	for _, alg := range []string{"ES256", "RS256"} {
		tok := sign(t, r, alg, "at+jwt")
		h, set := header(t, tok), published(t, r)
		if h.Alg != alg || h.Typ != "at+jwt" || len(set.Key(h.Kid)) != 1 {
			t.Errorf("%s: %+v", alg, h)
		}
		if _, err := replica.Verify(t.Context(), tok, "at+jwt"); err != nil {
			t.Error(err)
		}
	}
	if err := r.Ensure(t.Context(), "EdDSA"); !errors.Is(err, keyring.ErrAlgorithm) {
		t.Errorf("an algorithm that it cannot make: %v", err)
	}
	b.clk.Advance(keyring.PublishedFor)
	if err := r.Rotate(t.Context(), "ES256", false); err != nil {
		t.Fatal(err)
	}
	b.clk.Advance(keyring.RetiringFor)
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(t.Context(), "RS256", true); err != nil {
		t.Fatal(err)
	}
	if kids := live(t, r); !slices.Equal(kids, ext.kids()) {
		t.Errorf("%v are of use, and %v are held still", kids, ext.kids())
	}
}

func TestExternal_FailureLeavesWhatIsPublished(t *testing.T) {
	t.Parallel()
	b, ext := newBench(t), newToken()
	r := b.ringWith(t, ext)
	if err := r.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := sign(t, r, "ES256", "JWT")
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, set := range map[string]func(){
		"it refuses":              func() { ext.set(errors.New("token removed"), nil, false) },
		"it signs with something": func() { ext.set(nil, nil, true) },
	} {
		set()
		if tok, err := r.Sign(t.Context(), "ES256", "JWT", claims{"x"}); !errors.Is(err, keyring.ErrSigner) || !fault.Is(err, fault.Unavailable) || fault.Of(err).RetryAfter == 0 {
			t.Errorf("%s: %q, %v", name, tok, err)
		}
	}
	ext.set(nil, hang, false)
	began := time.Now()
	if _, err := r.Sign(t.Context(), "RS256", "JWT", claims{"x"}); !errors.Is(err, keyring.ErrSigner) {
		t.Errorf("it hangs: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("gave up after %s", took)
	}
	if len(published(t, r).Keys) != 4 {
		t.Error("keys are no longer published")
	}
	if _, err := r.Verify(t.Context(), old, "JWT"); err != nil {
		t.Error(err)
	}
	ext.set(nil, nil, false)
	sign(t, r, "ES256", "JWT")
}

func TestExternal_WithoutItTheKeysThatItHoldsDoNotSign(t *testing.T) {
	t.Parallel()
	b, ext := newBench(t), newToken()
	if err := b.ringWith(t, ext).Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.ring(t).Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), ext.Name()) {
		t.Errorf("started: %v", err)
	}
}

// late is a committer that another process beats to it.
type late struct {
	unit.Committer
	first func()
}

func (l late) Commit(ctx context.Context, u unit.Unit) error {
	l.first()
	return l.Committer.Commit(ctx, u)
}

func TestExternal_PairsOfALostRaceAreDestroyed(t *testing.T) {
	t.Parallel()
	b, ext := newBench(t), newToken()
	winner := b.ringWith(t, ext)
	s, err := seal.New(b.kek)
	if err != nil {
		t.Fatal(err)
	}
	st := sqltest.OpenAt(t, b.path, b.clk)
	first := sync.OnceFunc(func() {
		if err := winner.Ensure(t.Context()); err != nil {
			t.Error(err)
		}
	})
	loser := keyring.New(keyring.Deps{Store: st, Commit: late{st, first}, Seal: s, Clock: b.clk, External: ext})
	if err := loser.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kids := live(t, loser); !slices.Equal(kids, ext.kids()) {
		t.Errorf("%v are kept, %v are held", kids, ext.kids())
	}
}

// A start that fails leaves nothing in the token: it is tried again for as long as the settings are wrong.
func TestExternal_PairsOfAStartThatFailsAreDestroyed(t *testing.T) {
	t.Parallel()
	b, ext := newBench(t), newToken()
	if err := b.ringWith(t, ext).Ensure(t.Context(), "EdDSA"); !errors.Is(err, keyring.ErrAlgorithm) {
		t.Fatal("an algorithm that the token does not have:", err)
	}
	if kids := ext.kids(); len(kids) > 0 {
		t.Errorf("%v are left", kids)
	}
}
