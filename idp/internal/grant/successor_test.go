package grant_test

import (
	"bytes"
	"testing"

	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
)

func TestSuccessor_OpensOnlyUnderThePresentedTokenAndOurSecret(t *testing.T) {
	t.Parallel()
	secret, foreign := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	old, next := ident.NewToken(ident.RefreshToken), ident.NewToken(ident.RefreshToken)
	sealed, err := grant.SealSuccessor(secret, old, next)
	if err != nil || bytes.Contains(sealed, []byte(next[4:])) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if got, err := grant.OpenSuccessor(secret, old, sealed); err != nil || got != next {
		t.Fatalf("got %q, %v", got, err)
	}
	if again, _ := grant.SealSuccessor(secret, old, next); bytes.Equal(again, sealed) {
		t.Error("sealed twice, it looks the same")
	}
	altered := bytes.Clone(sealed)
	altered[len(altered)-1] ^= 1
	for name, c := range map[string]struct {
		secret    []byte
		presented string
		sealed    []byte
	}{
		"another token": {secret, next, sealed}, "another secret": {foreign, old, sealed}, "altered": {secret, old, altered},
		"short": {secret, old, sealed[:5]}, "empty": {secret, old, nil},
	} {
		if got, err := grant.OpenSuccessor(c.secret, c.presented, c.sealed); err == nil || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
