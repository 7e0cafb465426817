package main

import (
	"io"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Codes, client assertions, refresh families and sessions are linearizable registers.
func TestModel_WhatIsUsedOnceIsLinearizable(t *testing.T) {
	t.Parallel()
	for _, store := range []string{sqlite, postgres} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s, err := openSystem(t.Context(), binaries(t), store, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.close() })
			r, err := newRun(s, shortSeed)
			if err != nil {
				t.Fatal(err)
			}
			n, err := r.driver.races(t.Context(), shortSeed, time.Time{}, io.Discard)
			if err != nil || n < clients*turns {
				t.Errorf("%d operations, %v", n, err)
			}
			t.Logf("%d operations", n)
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
		"an ended session":           {[]porcupine.Operation{op(0, 1, asked{session: true}, told{ok: true}), op(2, 3, asked{session: true, revoke: true}, told{ok: true}), op(4, 5, asked{session: true}, told{})}, true},
		"a session that comes back":  {[]porcupine.Operation{op(0, 1, asked{session: true, revoke: true}, told{ok: true}), op(2, 3, asked{session: true}, told{ok: true})}, false},
		"a session that is refused":  {[]porcupine.Operation{op(0, 1, asked{session: true}, told{})}, false},
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
