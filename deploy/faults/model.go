package main

import (
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// asked is what a client asked of one register: a code, a client assertion, a family of refresh tokens or a session.
type asked struct {
	register int
	begin    bool   // not asked of anybody: says which refresh token a family begins with
	revoke   bool   // of a family, or of a session
	session  bool   // the register is a session
	token    string // refresh token that was shown; "" for a code, an assertion or a session
}

// told is what it was told.
type told struct {
	ok    bool
	token string // the successor
}

// register is what one register may be like: a code and an assertion are good once; a session is good until it is ended; a
// refresh token leads to one successor, which is told again while nobody has used it; what was used before that ends the family.
type register struct {
	spent, dead  bool   // of a code or an assertion; of a family or a session
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
	case in.session:
		return out.ok != s.dead, s
	case in.token == "":
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
	err   error // an answer that none of these may be
}

func (h *history) add(client int, in asked, call func() (told, error)) told {
	from := time.Since(h.began).Nanoseconds()
	out, err := call()
	to := time.Since(h.began).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.err = err
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: from, Output: out, Return: to})
	return out
}

func (h *history) failed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
