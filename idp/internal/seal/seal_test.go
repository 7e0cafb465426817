package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"ellis.example/idp/internal/seal"
)

func sealer(t *testing.T, fill ...byte) *seal.Sealer {
	t.Helper()
	var keys [][]byte
	for _, f := range fill {
		keys = append(keys, bytes.Repeat([]byte{f}, seal.KeySize))
	}
	s, err := seal.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpen_NeedsTheKeyTheOwnerAndEveryByte(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	sealed, err := s.Seal([]byte("seed"), "totp a")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := s.Open(sealed, "totp a"); err != nil || string(plain) != "seed" {
		t.Fatalf("%q, %v", plain, err)
	}
	if _, err := s.Open(sealed, "totp b"); !errors.Is(err, seal.ErrOpen) {
		t.Error("opened for another owner")
	}
	if _, err := sealer(t, 2).Open(sealed, "totp a"); !errors.Is(err, seal.ErrOpen) {
		t.Error("opened under another key")
	}
	for i := range sealed {
		bent := bytes.Clone(sealed)
		bent[i] ^= 1
		if _, err := s.Open(bent, "totp a"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("opened with byte %d changed", i)
		}
		if _, err := s.Open(sealed[:i], "totp a"); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("opened when cut to %d", i)
		}
	}
}

func TestOpen_OldKeysStillOpenAfterRotation(t *testing.T) {
	t.Parallel()
	old, err := sealer(t, 1).Seal([]byte("seed"), "o")
	if err != nil {
		t.Fatal(err)
	}
	both := sealer(t, 2, 1)
	if plain, err := both.Open(old, "o"); err != nil || string(plain) != "seed" {
		t.Fatal(err)
	}
	now, err := both.Seal([]byte("seed"), "o")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer(t, 1).Open(now, "o"); err == nil {
		t.Fatal("the new key was not used")
	}
}

func TestNew_RefusesShortKeys(t *testing.T) {
	t.Parallel()
	if _, err := seal.New([]byte("short")); err == nil {
		t.Error("short key accepted")
	}
	if _, err := seal.New(); err == nil {
		t.Error("no key accepted")
	}
}
