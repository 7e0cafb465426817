package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ellis.example/deploy/internal/seed"
)

// asked is what a client asked of one register: a code, or a family of refresh tokens.
type asked struct {
	register int
	begin    bool // not asked of anybody: says which refresh token a family begins with
	revoke   bool
	token    string // refresh token that was shown; "" for a code
}

// told is what it was told.
type told struct {
	ok    bool
	token string // the successor
}

// register is what one register may be like: a code is good once; a refresh token leads to one successor, which is told again
// while nobody has used it; what was used before that ends the family.
type register struct {
	spent, dead  bool   // of a code; of a family
	leaf, parent string // of a family: what can be used, and what led to it
}

// singleUse is the model that histories are held against.
func singleUse(first map[int]string) porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			by := map[int][]porcupine.Operation{}
			for _, op := range all {
				n := op.Input.(asked).register
				by[n] = append(by[n], op)
			}
			var out [][]porcupine.Operation
			for n, ops := range by {
				start := porcupine.Operation{Input: asked{register: n, begin: true}, Output: told{token: first[n]}, Call: -2, Return: -1}
				out = append(out, append([]porcupine.Operation{start}, ops...))
			}
			return out
		},
		Init: func() any { return register{} },
		Step: func(state, input, output any) (bool, any) {
			return state.(register).step(input.(asked), output.(told))
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

func (s register) step(in asked, out told) (bool, register) {
	switch {
	case in.begin:
		s.leaf = out.token
		return true, s
	case in.revoke:
		s.dead = true
		return out.ok, s
	case in.token == "": // a code
		ok := !s.spent
		s.spent = true
		return out.ok == ok, s
	case s.dead:
		return !out.ok, s
	case in.token == s.leaf && out.ok:
		s.parent, s.leaf = s.leaf, out.token
		return out.token != s.parent, s
	case in.token == s.leaf:
		return false, s
	case in.token == s.parent:
		return out.ok && out.token == s.leaf, s
	}
	s.dead = true
	return !out.ok, s
}

// history collects what many clients saw.
type history struct {
	mu    sync.Mutex
	began time.Time
	ops   []porcupine.Operation
}

func (h *history) add(client int, in asked, call func() told) told {
	from := time.Since(h.began).Nanoseconds()
	out := call()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: from, Output: out, Return: time.Since(h.began).Nanoseconds()})
	return out
}

// ask asks the token endpoint; anything but success and invalid_grant ends the test.
func (s *system) ask(t *testing.T, c *http.Client, form url.Values) told {
	a, err := send(context.Background(), c, http.MethodPost, s.issuer()+"/token", form, "Authorization", s.clients.Basic(seed.App))
	if err != nil || (a.status != http.StatusOK && a.status != http.StatusBadRequest) {
		t.Errorf("%d %s %v", a.status, a.body, err)
		return told{}
	}
	var got seed.Tokens
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Error(err)
	}
	return told{ok: a.status == http.StatusOK, token: got.Refresh}
}

func (s *system) authorize(t *testing.T, c *http.Client, p *person) url.Values {
	try := seed.NewAttempt()
	a, err := send(context.Background(), c, http.MethodGet, s.issuer()+try.Target("none"), nil, "Cookie", p.cookies)
	if err != nil {
		t.Fatal(err)
	}
	code, err := try.Code(a.header.Get("Location"))
	if err != nil {
		t.Fatalf("%v: status %d", err, a.status)
	}
	return try.Redeem(code)
}

const (
	clients = 64
	codes   = 16
	lines   = 16
	turns   = 12
)

// race lets many clients use the same codes and the same families at once.
func (s *system) race(t *testing.T) (h *history, first map[int]string) {
	h, first = &history{began: time.Now()}, map[int]string{}
	setup := newClient()
	forms := make([]url.Values, codes)
	for i := range forms {
		forms[i] = s.authorize(t, setup, s.people[i%people])
	}
	var known [lines]struct {
		sync.Mutex
		tokens []string
	}
	for i := range lines {
		got := s.ask(t, setup, s.authorize(t, setup, s.people[i%people]))
		first[codes+i], known[i].tokens = got.token, []string{got.token}
	}
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c, choice := newClient(), dice(shortSeed*100+n)
			h.add(n, asked{register: n % codes}, func() told {
				out := s.ask(t, c, forms[n%codes])
				out.token = "" // what it leads to is nobody's in this history
				return out
			})
			for range turns {
				i := choice.roll(lines)
				k := &known[i]
				k.Lock()
				token := k.tokens[max(0, len(k.tokens)-1-choice.roll(12)/10)] // mostly the latest, now and then the one before
				k.Unlock()
				if choice.roll(60) == 0 {
					h.add(n, asked{register: codes + i, revoke: true}, func() told {
						a, err := send(context.Background(), c, http.MethodPost, s.issuer()+"/revoke", url.Values{"token": {token}}, "Authorization", s.clients.Basic(seed.App))
						return told{ok: err == nil && a.status == http.StatusOK}
					})
					continue
				}
				out := h.add(n, asked{register: codes + i, token: token}, func() told {
					return s.ask(t, c, seed.Renew(token))
				})
				if out.ok {
					k.Lock()
					if out.token != k.tokens[len(k.tokens)-1] {
						k.tokens = append(k.tokens, out.token)
					}
					k.Unlock()
				}
			}
		})
	}
	all.Wait()
	return h, first
}

// Codes and refresh families are linearizable single-use registers.
func TestModel_CodesAndFamiliesAreUsedOnce(t *testing.T) {
	t.Parallel()
	for _, store := range []string{sqlite, postgres} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s, err := openSystem(t.Context(), binaries(t), store, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.close() })
			h, first := s.race(t)
			if got := porcupine.CheckOperationsTimeout(singleUse(first), h.ops, time.Minute); got != porcupine.Ok {
				t.Errorf("%s over %d operations", got, len(h.ops))
			}
			t.Logf("%d operations", len(h.ops))
		})
	}
}

// The model itself refuses what must not be.
func TestModel_RefusesWhatMustNotBe(t *testing.T) {
	t.Parallel()
	op := func(call, ret int64, in asked, out told) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
	}
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"a code once":                {[]porcupine.Operation{op(0, 5, asked{}, told{ok: true}), op(1, 6, asked{}, told{})}, true},
		"a code twice":               {[]porcupine.Operation{op(0, 5, asked{}, told{ok: true}), op(1, 6, asked{}, told{ok: true})}, false},
		"a code never":               {[]porcupine.Operation{op(0, 5, asked{}, told{}), op(1, 6, asked{}, told{})}, false},
		"one successor, told twice":  {[]porcupine.Operation{op(0, 5, asked{register: 1, token: "a"}, told{true, "b"}), op(1, 6, asked{register: 1, token: "a"}, told{true, "b"})}, true},
		"two successors":             {[]porcupine.Operation{op(0, 5, asked{register: 1, token: "a"}, told{true, "b"}), op(1, 6, asked{register: 1, token: "a"}, told{true, "c"})}, false},
		"reuse kills":                {[]porcupine.Operation{op(0, 1, asked{register: 1, token: "a"}, told{true, "b"}), op(2, 3, asked{register: 1, token: "b"}, told{true, "c"}), op(4, 5, asked{register: 1, token: "a"}, told{}), op(6, 7, asked{register: 1, token: "c"}, told{})}, true},
		"reuse does not kill":        {[]porcupine.Operation{op(0, 1, asked{register: 1, token: "a"}, told{true, "b"}), op(2, 3, asked{register: 1, token: "b"}, told{true, "c"}), op(4, 5, asked{register: 1, token: "a"}, told{}), op(6, 7, asked{register: 1, token: "c"}, told{true, "d"})}, false},
		"revoked and used afterward": {[]porcupine.Operation{op(0, 1, asked{register: 1, revoke: true}, told{ok: true}), op(2, 3, asked{register: 1, token: "a"}, told{true, "b"})}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := porcupine.CheckOperations(singleUse(map[int]string{1: "a"}), c.ops); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}
