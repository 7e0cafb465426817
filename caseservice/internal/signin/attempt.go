package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"ellis.example/caseservice/internal/ident"
)

// Attempt is a sign-in that is under way: what was asked, so that the answer can be held against it. It is kept by the browser
// in which it began, sealed, so that nobody's sign-in has to make room for a stranger's.
type Attempt struct {
	StartedAt time.Time
	Nonce     string
	Verifier  string // PKCE
	ReturnTo  string // path of this origin
	ACR       []string
	MaxAge    *time.Duration
	Subject   string // who has to come back; empty: anybody
	Claim     *Claim // taken over into the new session, if that is its owner's
}

// maxAttempts bounds the sign-ins that one browser has under way: more, and its requests outgrow what a server reads.
const maxAttempts = 4

// attemptSkew is how far the clocks of two processes of the portal may differ.
const attemptSkew = time.Minute

// attemptKey names an attempt by the state of its request.
func attemptKey(state string) Key { return Key(ident.Hash("portal state\x00" + state)) }

// cookie is the name of the cookie of an attempt.
func (k Key) cookie() string { return CookieAttempt + hex.EncodeToString(k[:8]) }

// sealer seals attempts under a key that stays the same for as long as the client's secret.
type sealer struct{ key [sha256.Size]byte }

func newSealer(clientID, secret string) sealer {
	m := hmac.New(sha256.New, []byte(secret))
	_, _ = m.Write([]byte("portal attempt\x00" + clientID))
	return sealer{[sha256.Size]byte(m.Sum(nil))}
}

func (s sealer) aead() (cipher.AEAD, error) {
	b, err := aes.NewCipher(s.key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(b)
}

// seal returns the value of the cookie named name.
func (s sealer) seal(name string, a Attempt) (string, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	c, err := s.aead()
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(c.Seal(nil, nil, body, []byte(name))), nil //nolint:gosec // it makes a nonce itself
}

// open reads the cookie named name. Errors: ErrAttemptUnknown.
func (s sealer) open(name, value string, now time.Time) (a Attempt, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return Attempt{}, ErrAttemptUnknown.Because(err)
	}
	c, err := s.aead()
	if err != nil {
		return Attempt{}, err
	}
	body, err := c.Open(nil, nil, raw, []byte(name))
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	switch {
	case err != nil:
		return Attempt{}, ErrAttemptUnknown.Because(err)
	case !now.Before(a.StartedAt.Add(AttemptLifetime)), a.StartedAt.After(now.Add(attemptSkew)):
		return Attempt{}, ErrAttemptUnknown.Because(errors.New("the attempt is over"))
	}
	return a, nil
}

// keep gives an attempt to the browser. Of too many the oldest make way.
func (g *Gate) keep(w http.ResponseWriter, r *http.Request, state string, a Attempt) error {
	type other struct {
		name string
		at   time.Time
	}
	var others []other
	for _, c := range r.Cookies() {
		if name, ours := g.cfg.Cookies.attempt(c.Name); ours {
			old, _ := g.seal.open(name, c.Value, a.StartedAt) // one that is over is the oldest
			others = append(others, other{name, old.StartedAt})
		}
	}
	slices.SortStableFunc(others, func(x, y other) int { return x.at.Compare(y.at) })
	for len(others) >= maxAttempts {
		g.cfg.Cookies.Clear(w, others[0].name)
		others = others[1:]
	}
	name := attemptKey(state).cookie()
	value, err := g.seal.seal(name, a)
	if err != nil {
		return err
	}
	g.cfg.Cookies.Set(w, name, value, AttemptLifetime)
	return nil
}

// attempt takes the attempt of a state from the browser in which it began, and its name in the store. The browser keeps one that
// was not opened or not counted, because there are too many at once or the store is away: nothing is spent, and it may be sent
// again. Errors: ErrAttemptUnknown, ErrCrowded; those of the store.
func (g *Gate) attempt(w http.ResponseWriter, r *http.Request, state string) (Key, Attempt, error) {
	k := attemptKey(state)
	value := g.cfg.Cookies.Get(r, k.cookie())
	if state == "" || value == "" {
		return k, Attempt{}, ErrAttemptUnknown
	}
	a, err := g.seal.open(k.cookie(), value, g.cfg.Clock.Now())
	if err == nil {
		err = g.count(r.Context(), countFinish, r)
	}
	if err == nil {
		g.cfg.Cookies.Clear(w, k.cookie())
	}
	return k, a, err
}

// attempt returns the name of the cookie of an attempt without what the kind of origin adds, and whether it is one.
func (c Cookies) attempt(name string) (string, bool) {
	bare := strings.TrimPrefix(name, "__Host-")
	return bare, c.name(bare) == name && strings.HasPrefix(bare, CookieAttempt)
}
