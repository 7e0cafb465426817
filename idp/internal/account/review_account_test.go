package account_test

import (
	"errors"
	"testing"

	"ellis.example/idp/internal/account"
)

// One mailbox has one name: neither a dot at the end in any script, nor an empty label, nor a number for a host makes another.
func TestAttack_E21_NoSecondNameForOneMailbox(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{
		"example.org.", "example.org..", "example.org\u3002", "example.org\uff0e", "example.org\uff61", "example.org\u2024", "example.org.\u200b",
		".", "..", ".org", "\u3002example.org", "example..org", "example\u3002.org", "a..b", ".example.org",
		"127.0.0.1", "１２７.０.０.１", "127.1", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "017700000001", "127.0.0.1.", "example.1", "example.0x1", "example.1com", "1.2.3.4.5", "①②⑦.0.0.1",
		"[127.0.0.1]", "[IPv6:::1]", "::1", "localhost", "localhost.", "org", "xn--.org", "xn--a.org", "example.xn--", "-a.org", "a-.org", "a.-org", "a.org-",
	} {
		if got, err := account.CanonicalEmail("maria@" + domain); !errors.Is(err, account.ErrEmail) {
			t.Errorf("%q is %q, %v", domain, got, err)
		}
	}
	for domain, want := range map[string]string{"EXAMPLE.ORG": "example.org", "example\u3002org": "example.org", "1.example": "1.example", "127.0.0.1.example": "127.0.0.1.example", "xn--bcher-kva.example": "xn--bcher-kva.example", "BÜCHER.example": "xn--bcher-kva.example", "XN--BCHER-KVA.example": "xn--bcher-kva.example"} {
		if got, err := account.CanonicalEmail("maria@" + domain); err != nil || got != "maria@"+want {
			t.Errorf("%q is %q, %v", domain, got, err)
		}
	}
}

// The length of a password is the lesser of what was typed and what it stands for.
func TestCheckPassword_CountsWhatWasTypedAndWhatItStandsFor(t *testing.T) {
	t.Parallel()
	for pw, ok := range map[string]bool{
		"\ufdfa":                         false, // one typed character, 18 under NFKC
		"\ufdfa\ufdfa\u0639\u0627\u0645": false,
		"w\u0301\u0323e" + "q\u0301rtz m\u0301xo":  false,
		"ﬁddle of no kin":                          true,  // 15 typed, 16 stand for it
		"ﬁddle of nokin":                           false, // 14 typed, 15 stand for it
		"e\u0301cole du nord, b":                   true,
		"e\u0301cole du nord!":                     false,
		"\u1112\u1161\u11ab\u1100\u1173\u11af kpt": false, // conjoining letters are one syllable
	} {
		err := account.CheckPassword(pw)
		if ok && err != nil || !ok && !errors.Is(err, account.ErrPasswordShort) {
			t.Errorf("%q: %v", pw, err)
		}
	}
}
