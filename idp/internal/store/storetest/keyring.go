package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

// KeyStore is what Keys needs.
type KeyStore interface {
	unit.Committer
	keyring.Reader
	keyring.RewrapStore
}

// Keys checks signing keys and sealed secrets.
func Keys[S KeyStore](t *testing.T, open func(*testing.T) S) {
	t.Run("one of many first keys wins its place", func(t *testing.T) { t.Parallel(); oneActiveKey(t, open(t)) })
	t.Run("one of many rotations wins", func(t *testing.T) { t.Parallel(); oneRotation(t, open(t)) })
	t.Run("the private part goes when a key is retired", func(t *testing.T) { t.Parallel(); retiredIsPublicOnly(t, open(t)) })
	t.Run("a sealed value is replaced only while it is the one that was read", func(t *testing.T) { t.Parallel(); resealed(t, open(t)) })
	t.Run("nothing is kept that is sealed under another key than the active one", func(t *testing.T) { t.Parallel(); sealedUnderActive(t, open(t)) })
	t.Run("replicas say which keys they have", func(t *testing.T) { t.Parallel(); replicasPresent(t, open(t)) })
	t.Run("one of many secrets of a name wins", func(t *testing.T) { t.Parallel(); oneSecret(t, open(t)) })
}

var keyTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func key(id, alg string, s keyring.State) keyring.Add {
	return keyring.Add{Key: keyring.Key{ID: id, Alg: alg, State: s, Public: []byte(`{"kid":"` + id + `"}`), Sealed: []byte("sealed " + id), CreatedAt: keyTime}}
}

func commit(t *testing.T, s unit.Committer, w ...unit.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), unit.Unit{Writes: w}); err != nil {
		t.Fatalf("commit of %T: %v", w[0], err)
	}
}

func conflicts(t *testing.T, s unit.Committer, w ...unit.Write) {
	t.Helper()
	if err := s.Commit(t.Context(), unit.Unit{Writes: w}); !unit.IsConflict(err) {
		t.Fatalf("commit of %+v: %v, want a conflict", w, err)
	}
}

func oneActiveKey(t *testing.T, s KeyStore) {
	before := versionOf(t, s.KeysVersion)
	wins := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{key(fmt.Sprint("k", i), "ES256", keyring.Active)}})
	})
	if wins != 1 {
		t.Fatalf("%d keys became active", wins)
	}
	commit(t, s, key("other", "RS256", keyring.Active), key("r1", "ES256", keyring.Retiring), key("r2", "ES256", keyring.Retiring))
	if got, err := s.Keys(t.Context()); err != nil || len(got) != 4 {
		t.Fatalf("%d keys, %v", len(got), err)
	}
	if after := versionOf(t, s.KeysVersion); after <= before {
		t.Fatalf("version went from %d to %d", before, after)
	}
}

func versionOf(t *testing.T, f func(context.Context) (int64, error)) int64 {
	t.Helper()
	n, err := f(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func oneRotation(t *testing.T, s KeyStore) {
	commit(t, s, key("a", "ES256", keyring.Active), key("n", "ES256", keyring.Next))
	wins := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{
			keyring.Move{ID: "a", From: keyring.Active, To: keyring.Retiring, At: keyTime.Add(time.Hour)},
			keyring.Move{ID: "n", From: keyring.Next, To: keyring.Active, At: keyTime.Add(time.Hour)},
			key(fmt.Sprint("new", i), "ES256", keyring.Next),
		}})
	})
	if wins != 1 {
		t.Fatalf("%d rotations", wins)
	}
	list, err := s.Keys(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	for _, k := range list {
		switch k.ID {
		case "a":
			if k.State != keyring.Retiring || !k.EndedAt.Equal(keyTime.Add(time.Hour)) || len(k.Sealed) == 0 {
				t.Errorf("old key: %+v", k)
			}
		case "n":
			if k.State != keyring.Active || !k.ActiveAt.Equal(keyTime.Add(time.Hour)) || !k.EndedAt.IsZero() {
				t.Errorf("new key: %+v", k)
			}
		}
	}
}

func retiredIsPublicOnly(t *testing.T, s KeyStore) {
	commit(t, s, key("a", "ES256", keyring.Retiring), key("b", "ES256", keyring.Active))
	commit(t, s, keyring.Move{ID: "a", From: keyring.Retiring, To: keyring.Retired, At: keyTime})
	commit(t, s, keyring.Move{ID: "b", From: keyring.Active, To: keyring.Discarded, At: keyTime})
	conflicts(t, s, keyring.Move{ID: "a", From: keyring.Retiring, To: keyring.Active, At: keyTime})
	conflicts(t, s, keyring.Move{ID: "missing", From: keyring.Next, To: keyring.Active, At: keyTime})
	list, err := s.Keys(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%d keys, %v", len(list), err)
	}
	for _, k := range list {
		if len(k.Sealed) != 0 || len(k.Public) == 0 {
			t.Errorf("%s keeps %q and %q", k.State, k.Sealed, k.Public)
		}
	}
}

func oneSecret(t *testing.T, s KeyStore) {
	if _, err := s.SealedSecret(t.Context(), "pairwise"); !errors.Is(err, keyring.ErrNoSecret) {
		t.Fatalf("got %v", err)
	}
	wins := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{keyring.AddSecret{Name: "pairwise", Sealed: []byte{byte(i)}, At: keyTime}}})
	})
	if wins != 1 {
		t.Fatalf("%d secrets", wins)
	}
	first, err := s.SealedSecret(t.Context(), "pairwise")
	if err != nil {
		t.Fatal(err)
	}
	conflicts(t, s, keyring.AddSecret{Name: "pairwise", Sealed: []byte("other"), At: keyTime})
	if again, err := s.SealedSecret(t.Context(), "pairwise"); err != nil || string(again) != string(first) {
		t.Fatalf("the secret changed: %v", err)
	}
}

// under is a sealed value that names a key by four equal bytes.
func under(key byte, rest string) []byte {
	return append(bytes.Repeat([]byte{key}, seal.IDSize), rest...)
}

func resealed(t *testing.T, s KeyStore) {
	commit(t, s, keyring.AddSecret{Name: "a", Sealed: under(1, "a"), At: keyTime}, keyring.AddSecret{Name: "b", Sealed: under(2, "b"), At: keyTime}, keyring.AddSecret{Name: "c", Sealed: under(1, "c"), At: keyTime})
	ids, err := s.SealedUnder(t.Context(), "secrets")
	if want := []seal.KeyID{{1, 1, 1, 1}, {2, 2, 2, 2}}; err != nil || !slices.Equal(ids, want) {
		t.Fatalf("under %v, %v", ids, err)
	}
	list, err := s.SealedValues(t.Context(), "secrets", "a", 1)
	if err != nil || len(list) != 1 || list[0].Row != "b" || list[0].Owner != keyring.SecretOwner("b") || string(list[0].Value[seal.IDSize:]) != "b" {
		t.Fatalf("%+v, %v", list, err)
	}
	wins := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{keyring.Reseal{Place: "secrets", Row: "a", Old: under(1, "a"), New: under(3, fmt.Sprint(i))}}})
	})
	if wins != 1 {
		t.Fatalf("%d replaced what was there", wins)
	}
	conflicts(t, s, keyring.Reseal{Place: "secrets", Row: "c", Old: under(1, "c"), New: under(3, "c")}, keyring.Reseal{Place: "secrets", Row: "b", Old: under(1, "b"), New: under(3, "b")})
	if kept, err := s.SealedSecret(t.Context(), "c"); err != nil || !bytes.Equal(kept, under(1, "c")) {
		t.Fatalf("half a unit: %q, %v", kept, err)
	}
	commit(t, s, key("k1", "ES256", keyring.Active))
	commit(t, s, keyring.Move{ID: "k1", From: keyring.Active, To: keyring.Discarded, At: keyTime})
	if ids, err := s.SealedUnder(t.Context(), "signing_keys"); err != nil || len(ids) != 0 {
		t.Fatalf("nothing is kept of a discarded key, and yet %v, %v", ids, err)
	}
	conflicts(t, s, keyring.Reseal{Place: "signing_keys", Row: "k1", Old: []byte("sealed k1"), New: under(3, "k1")})
	for _, place := range s.SealedPlaces() {
		if _, err := s.SealedValues(t.Context(), place, "", 10); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		if _, err := s.SealedUnder(t.Context(), place); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// sealedBy is every write that keeps a value, sealed under a key.
func sealedBy(k byte, name string) map[string]unit.Write {
	value := append(bytes.Repeat([]byte{k}, seal.IDSize), name...)
	add := key(name, "RS256", keyring.Retiring)
	add.Key.Sealed = value
	return map[string]unit.Write{
		"a pair":   add,
		"a secret": keyring.AddSecret{Name: name, Sealed: value, At: keyTime},
		"a seed":   factor.AddTOTP{TOTP: factor.TOTP{ID: name, Account: "acc_sealed", Sealed: value, CreatedAt: keyTime}},
		"a mail":   notify.Queue{ID: name, Sealed: value, At: keyTime, ExpiresAt: keyTime.Add(time.Hour)},
	}
}

func sealedUnderActive(t *testing.T, s KeyStore) {
	commit(t, s, account.Create{Account: account.Account{ID: "acc_sealed", Status: account.Active, CreatedAt: keyTime}})
	first, second := seal.KeyID(bytes.Repeat([]byte{1}, seal.IDSize)), seal.KeyID(bytes.Repeat([]byte{200}, seal.IDSize))
	if _, ok, err := s.ActiveKEK(t.Context()); ok || err != nil {
		t.Fatalf("one is active that nobody made so (%v)", err)
	}
	for what, w := range sealedBy(1, "before") {
		if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}}); err != nil {
			t.Errorf("%s, while none is active: %v", what, err)
		}
	}
	for i, active := range []seal.KeyID{first, second} {
		commit(t, s, keyring.ActivateKEK{Key: active})
		if id, ok, err := s.ActiveKEK(t.Context()); id != active || !ok || err != nil {
			t.Fatalf("active is %s, %v, %v", id, ok, err)
		}
		for _, k := range []seal.KeyID{first, second} {
			for what, w := range sealedBy(k[0], fmt.Sprint("under", k[0], "while", i)) {
				err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}})
				if k == active && err != nil || k != active && !errors.Is(err, keyring.ErrKEKReplaced) {
					t.Errorf("%s under %s while %s is active: %v", what, k, active, err)
				}
			}
		}
	}
	was := append(first[:], "before"...)
	for k, want := range map[byte]error{1: keyring.ErrKEKReplaced, 200: nil} {
		again := append(bytes.Repeat([]byte{k}, seal.IDSize), "again"...)
		if err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{keyring.Reseal{Place: "secrets", Row: "before", Old: was, New: again}}}); !errors.Is(err, want) {
			t.Errorf("sealed again under %d: %v", k, err)
		}
	}
}

func replicasPresent(t *testing.T, s KeyStore) {
	k := seal.KeyID{1, 2, 3, 4}
	say := func(id string, at time.Time, keys ...seal.KeyID) {
		t.Helper()
		commit(t, s, keyring.Present{Replica: id, Keys: keys, At: at})
	}
	say("rep_a", keyTime, k)
	say("rep_b", keyTime.Add(-time.Hour), k)
	say("rep_c", keyTime, k)
	say("rep_a", keyTime.Add(time.Second), k, seal.KeyID{5})
	commit(t, s, keyring.Absent{Replica: "rep_c"})
	list, err := s.Replicas(t.Context(), keyTime)
	want := []keyring.Replica{{ID: "rep_a", Keys: []seal.KeyID{k, {5}}, SeenAt: keyTime.Add(time.Second)}}
	if err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("got %+v, want %+v (%v)", list, want, err)
	}
}
