package ident_test

import (
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/ident"
)

func TestNew_IsValidAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := ident.New("acc")
		if !ident.Valid("acc", id) || seen[id] {
			t.Fatalf("bad or repeated identifier %q", id)
		}
		seen[id] = true
	}
}

func TestInOrder_SortsByTimeAndIsDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 5 {
		var last string
		for range 100 {
			if last = ident.InOrder("jti"); !ident.Valid("jti", last) || seen[last] {
				t.Fatalf("bad or repeated identifier %q", last)
			}
			seen[last] = true
		}
		time.Sleep(2 * time.Millisecond)
		if later := ident.InOrder("jti"); later <= last {
			t.Fatalf("%q comes before %q, which is older", later, last)
		}
	}
}

func TestValid_RefusesWhatNewNeverMakes(t *testing.T) {
	t.Parallel()
	id := ident.New("acc")
	last := byte('z')
	if id[len(id)-1] == last {
		last = 'y'
	}
	for _, bad := range []string{"", "acc_", id + "0", id[:len(id)-1], strings.ToUpper(id), "ses_" + id[4:], id[:len(id)-1] + string(last)} {
		if ident.Valid("acc", bad) && bad[len(bad)-1] != '0' {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestAttack_B16_AlteredTokensAreRefused(t *testing.T) {
	t.Parallel()
	tok := ident.NewToken(ident.RefreshToken)
	if !ident.IsToken(ident.RefreshToken, tok) || len(tok) != ident.TokenLen {
		t.Fatalf("own token refused: %q", tok)
	}
	for i := range tok {
		if ident.IsToken(ident.RefreshToken, tok[:i]) {
			t.Errorf("accepted prefix of %d", i)
		}
		for _, c := range "aA0_-=. " {
			if byte(c) != tok[i] && ident.IsToken(ident.RefreshToken, tok[:i]+string(c)+tok[i+1:]) {
				t.Errorf("accepted change at %d to %q", i, c)
			}
		}
	}
	for _, bad := range []string{tok + "a", tok + "=", " " + tok, strings.ToUpper(tok), strings.ToLower(tok)} {
		if ident.IsToken(ident.RefreshToken, bad) {
			t.Errorf("accepted %q", bad)
		}
	}
	if ident.IsToken(ident.AuthorizationCode, tok) {
		t.Error("a refresh token passed for a code")
	}
}

func FuzzIsToken(f *testing.F) {
	f.Add(ident.NewToken(ident.MailLink))
	f.Fuzz(func(t *testing.T, s string) {
		if ident.IsToken(ident.MailLink, s) && (len(s) != ident.TokenLen || !strings.HasPrefix(s, string(ident.MailLink))) {
			t.Fatalf("accepted %q", s)
		}
	})
}
