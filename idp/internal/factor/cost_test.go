package factor

import (
	"bytes"
	"testing"
	"time"
)

func TestParams_WhatIsMissingMakesUpTheWork(t *testing.T) {
	t.Parallel()
	today := Params{Memory: 19 * 1024, Time: 2, Threads: 1}
	for _, old := range []Params{{8, 1, 1}, {12 * 1024, 3, 1}, {7 * 1024, 5, 1}, {19 * 1024, 1, 1}, {9 * 1024, 4, 2}, {19*1024 - 1, 2, 1}} {
		rest := today.beyond(old)
		if got, want := old.work()+rest.work(), today.work(); got > want || want-got >= uint64(today.Time) || rest.Memory > today.Memory {
			t.Errorf("%+v and %+v are %d KiB together, want %d", old, rest, got, want)
		}
	}
	for _, dear := range []Params{today, {64 * 1024, 3, 1}, {38 * 1024, 1, 4}} {
		if rest := today.beyond(dear); rest != (Params{}) {
			t.Errorf("%+v: %+v on top", dear, rest)
		}
	}
}

// After the cost was raised, an account that has not signed in since is answered as slowly as a name that nobody has. Not
// parallel, and only the fastest answers are compared, so that what else the machine does matters little.
func TestAttack_F01_ARaisedCostTellsNobodyWhoHasAnAccount(t *testing.T) {
	pepper := bytes.Repeat([]byte{1}, 32)
	cheap, dear := NewPasswords(pepper, Params{Memory: 1 << 10, Time: 1, Threads: 1}), NewPasswords(pepper, Params{Memory: 32 << 10, Time: 2, Threads: 1})
	old, err := cheap.Hash(t.Context(), "right horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := dear.Hash(t.Context(), "right horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{"old": old, "fresh": fresh, "nobody": ""}
	fastest := map[string]time.Duration{}
	for range 8 {
		for name, record := range records {
			began := time.Now()
			if ok, stale, err := dear.Verify(t.Context(), record, "wrong horse battery staple"); ok || err != nil || stale != (name == "old") {
				t.Fatalf("%s: %v, %v, %v", name, ok, stale, err)
			}
			if took := time.Since(began); fastest[name] == 0 || took < fastest[name] {
				fastest[name] = took
			}
		}
	}
	for name, took := range fastest {
		if took < fastest["nobody"]/4 || took > 4*fastest["nobody"] {
			t.Errorf("%s takes %v, nobody %v", name, took, fastest["nobody"])
		}
	}
	if ok, stale, err := dear.Verify(t.Context(), old, "right horse battery staple"); !ok || !stale || err != nil {
		t.Errorf("the right password of an old record: %v, %v, %v", ok, stale, err)
	}
}
