package factor_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/factor"
)

var (
	pepper = bytes.Repeat([]byte{3}, 32)
	cheap  = factor.Params{Memory: 8, Time: 1, Threads: 1}
)

func hashed(t *testing.T, h *factor.Passwords, pw string) string {
	t.Helper()
	r, err := h.Hash(t.Context(), pw)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verified reports whether a password is that of a record.
func verified(t *testing.T, h *factor.Passwords, record, pw string) bool {
	t.Helper()
	ok, _, err := h.Verify(t.Context(), record, pw)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestPasswords_VerifyTheWholeInAnyFormOfUnicode(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, cheap)
	for _, pw := range []string{"a lamp on a wet jetty", "Añoranza ﬁnal Å ｅ", "🦊🐻 fox and bear", strings.Repeat("x7", 512), "a\x00b"} {
		r := hashed(t, h, pw)
		for _, same := range []string{pw, norm.NFD.String(pw), norm.NFKC.String(pw), norm.NFKD.String(pw)} {
			if len(same) <= factor.MaxPassword && !verified(t, h, r, same) {
				t.Errorf("%q does not open %q", same, pw)
			}
		}
		for _, other := range []string{"", pw[:len(pw)-1], pw[1:], strings.ToUpper(pw) + "!"} {
			if len(other) <= factor.MaxPassword && verified(t, h, r, other) {
				t.Errorf("%q opens %q", other, pw)
			}
		}
	}
}

func TestPasswords_RecordIsSaltedArgon2idWithoutThePepper(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, factor.DefaultParams)
	a, b := hashed(t, h, "a lamp on a wet jetty"), hashed(t, h, "a lamp on a wet jetty")
	if a == b {
		t.Error("two records of one password are the same: there is no salt")
	}
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1,keyid=[0-9a-f]{8}\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(a) {
		t.Error(a)
	}
	other := factor.NewPasswords(bytes.Repeat([]byte{4}, 32), factor.DefaultParams)
	if ok, _, err := other.Verify(t.Context(), a, "a lamp on a wet jetty"); ok || err == nil || !strings.Contains(err.Error(), "pepper") {
		t.Errorf("with another pepper: %v, %v", ok, err)
	}
}

func TestPasswords_SayWhenARecordIsOld(t *testing.T) {
	t.Parallel()
	old := hashed(t, factor.NewPasswords(pepper, cheap), "a lamp on a wet jetty")
	for _, now := range []factor.Params{{Memory: 16, Time: 1, Threads: 1}, {Memory: 8, Time: 2, Threads: 1}, {Memory: 8, Time: 1, Threads: 2}} {
		if ok, stale, err := factor.NewPasswords(pepper, now).Verify(t.Context(), old, "a lamp on a wet jetty"); !ok || !stale || err != nil {
			t.Errorf("%+v: %v %v %v", now, ok, stale, err)
		}
	}
	if _, stale, err := factor.NewPasswords(pepper, cheap).Verify(t.Context(), old, "a lamp on a wet jetty"); stale || err != nil {
		t.Error("a record of today is old:", err)
	}
}

// What a hash fills is not left to the garbage collector, which would have to work after nearly each one. Not parallel: it counts
// what the process allocates.
func TestPasswords_HashOutsideTheHeap(t *testing.T) {
	h := factor.NewPasswords(pepper, factor.DefaultParams)
	record := hashed(t, h, "a lamp on a wet jetty")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if !verified(t, h, record, "a lamp on a wet jetty") {
		t.Error("the right password is wrong")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a hash takes %d bytes of the heap", n)
	}
	for range 2 {
		if err := h.Trim(); err != nil {
			t.Error(err)
		}
	}
	if !verified(t, h, record, "a lamp on a wet jetty") {
		t.Error("after its memory was given back, the right password is wrong")
	}
}

// Nobody's record is one that no password opens, not even the empty one.
func TestPasswords_NobodyHasNone(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, cheap)
	for _, pw := range []string{"", "a lamp on a wet jetty", strings.Repeat("\x00", 32)} {
		if verified(t, h, "", pw) {
			t.Errorf("%q opens nobody's account", pw)
		}
	}
}

// A record cannot ask for more than we ever meant to spend, nor be anything but a whole record.
func TestPasswords_RefuseRecordsThatAreNone(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, cheap)
	good := hashed(t, h, "a lamp on a wet jetty")
	for _, bad := range []string{
		strings.Replace(good, "m=8", "m=4294967295", 1), strings.Replace(good, "m=8", "m=1048577", 1), strings.Replace(good, "t=1", "t=65", 1), strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=256", 1),
		strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "m=8", "m=-8", 1), strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1), good[:len(good)-1], good + "$", good + "=", good + "A",
		"$" + good, strings.ReplaceAll(good, "$", "$$"), strings.Replace(good, ",keyid", "", 1), "$2a$10$abcdefghijklmnopqrstuv", "x", " ", "$argon2id$v=19$m=8,t=1,p=1,keyid=$$",
	} {
		if ok, _, err := h.Verify(t.Context(), bad, "a lamp on a wet jetty"); ok || err == nil {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
	}
}

// With these parameters a hash takes minutes and a gigabyte: what is refused first never comes so far.
func TestAttack_I13_TooLongIsRefusedBeforeHashing(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, factor.Params{Memory: 1 << 20, Time: 64, Threads: 1})
	for _, n := range []int{factor.MaxPassword + 1, 1 << 20} {
		if _, err := h.Hash(t.Context(), strings.Repeat("a", n)); !errors.Is(err, factor.ErrTooLong) {
			t.Errorf("hashing %d bytes: %v", n, err)
		}
		if _, _, err := h.Verify(t.Context(), "", strings.Repeat("a", n)); !errors.Is(err, factor.ErrTooLong) {
			t.Errorf("verifying %d bytes: %v", n, err)
		}
	}
}

// The queue has an end, who is in it gets an answer, and it is empty afterwards.
func TestAttack_I13_TheQueueIsBounded(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, factor.Params{Memory: 1 << 10, Time: 20, Threads: 1})
	var busy, done atomic.Int64
	var wg sync.WaitGroup
	for range 2000 {
		wg.Go(func() {
			switch _, _, err := h.Verify(t.Context(), "", "a lamp on a wet jetty"); {
			case errors.Is(err, factor.ErrBusy):
				busy.Add(1)
			case err == nil:
				done.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if busy.Load() == 0 || done.Load() == 0 {
		t.Errorf("%d busy, %d done", busy.Load(), done.Load())
	}
	if !verified(t, h, hashed(t, h, "x"), "x") {
		t.Error("it does not go on afterwards")
	}
}

func TestPasswords_WaitNoLongerThanTheirCaller(t *testing.T) {
	t.Parallel()
	h := factor.NewPasswords(pepper, factor.Params{Memory: 64, Time: 1, Threads: 1})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 { // a slot may be free: then it is no error either
		if _, err := h.Hash(gone, "x"); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Errorf("those who went kept their places: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	h := factor.NewPasswords(pepper, cheap)
	const good = "$argon2id$v=19$m=8,t=1,p=1,keyid=ee9e9f6f$mIJdvx8HEKw2PG20R/9U9Q$TbYww76Z97A3MJZZVlz0/dK9hwKPflaG3Rvkh+66iro" // the same in every process
	f.Add(good, "a lamp on a wet jetty")
	f.Add(strings.Replace(good, "m=8", "m=9", 1), "x")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, record, pw string) {
		if strings.Contains(record, "m=") && !strings.Contains(record, "m=8,t=1,") {
			return // it may ask for a second of work, which is allowed and slow
		}
		ok, _, err := h.Verify(t.Context(), record, pw)
		if ok && (record != good || norm.NFKC.String(pw) != "a lamp on a wet jetty" || err != nil) {
			t.Fatalf("%q opens %q", pw, record)
		}
	})
}
