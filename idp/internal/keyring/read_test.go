package keyring_test

import (
	"errors"
	"testing"

	"ellis.example/idp/internal/keyring"
)

// What is made of a token's claims is kept when it is shown again, for whoever shows it, and for no other use.
func TestRead_RemembersWhatWasMadeOfTheClaims(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.ready(t)
	made := 0
	read := func(claims []byte) any {
		made++
		if string(claims) != `{"sub":"somebody"}` {
			t.Errorf("made of %s", claims)
		}
		return &made
	}
	first, shown := sign(t, r, "ES256", "at+jwt"), sign(t, r, "ES256", "at+jwt")
	if _, err := r.Verify(t.Context(), shown, "at+jwt"); err != nil {
		t.Fatal(err)
	}
	for i, tok := range []string{first, shown} {
		made = 0
		for range 4 {
			if got, err := r.Read(t.Context(), tok, "at+jwt", read); err != nil || got != any(&made) {
				t.Fatalf("%v, %v", got, err)
			}
		}
		if want := 2 - i; made != want { // one was shown before
			t.Errorf("made %d times, want %d", made, want)
		}
		if got, err := r.Verify(t.Context(), tok, "at+jwt"); err != nil || string(got) != `{"sub":"somebody"}` {
			t.Errorf("%s, %v", got, err)
		}
		if _, err := r.Read(t.Context(), tok, "JWT", read); !errors.Is(err, keyring.ErrToken) {
			t.Errorf("for another use: %v", err)
		}
		if _, err := r.Read(t.Context(), tok[:len(tok)-1], "at+jwt", read); !errors.Is(err, keyring.ErrToken) {
			t.Errorf("cut: %v", err)
		}
	}
	other := sign(t, r, "RS256", "at+jwt")
	for range 2 {
		if _, err := r.Read(t.Context(), other, "at+jwt", func([]byte) any { return nil }); !errors.Is(err, keyring.ErrToken) {
			t.Errorf("of what nothing can be made: %v", err)
		}
	}
	b.clk.Advance(keyring.RotateAfter)
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context(), shown, "at+jwt", read); err != nil {
		t.Fatalf("while retiring: %v", err)
	}
	b.clk.Advance(keyring.RetiringFor)
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Read(t.Context(), shown, "at+jwt", read); !errors.Is(err, keyring.ErrToken) {
			t.Errorf("once retired: %v", err)
		}
	}
}
