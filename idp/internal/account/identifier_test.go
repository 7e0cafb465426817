package account_test

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/account"
)

func TestAttack_E21_AnAddressHasOneReadingOrNone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"maria@example.org":                         "maria@example.org",
		" Maria.Q+cases@Example.ORG ":               "maria.q+cases@example.org",
		"ｍａｒｉａ＠ｅｘａｍｐｌｅ．ｏｒｇ":                         "maria@example.org",
		"josé@example.org":                          "josé@example.org",
		"jose\u0301@example.org":                    "josé@example.org",
		"maria@bücher.example":                      "maria@xn--bcher-kva.example",
		"maria@xn--bcher-kva.example":               "maria@xn--bcher-kva.example",
		"o'neill@example.org":                       "o'neill@example.org",
		long + "@example.org":                       long + "@example.org",
		"123@example.org":                           "123@example.org",
		"":                                          "",
		"@":                                         "",
		"maria":                                     "",
		"maria@":                                    "",
		"@example.org":                              "",
		"maria@@example.org":                        "",
		"maria@evil.example@example.org":            "",
		"maria@example.org@evil.example":            "",
		"maria%evil.example@example.org@":           "",
		`"maria"@example.org`:                       "",
		`"a b"@example.org`:                         "",
		`"maria@evil.example"@example.org`:          "",
		`maria\@evil.example@example.org`:           "",
		"maria(comment)@example.org":                "",
		"maria@example.org(comment)":                "",
		"maria@(comment)example.org":                "",
		"Maria <maria@example.org>":                 "",
		"<maria@example.org>":                       "",
		"maria@example.org,eve@example.org":         "",
		"maria@example.org;eve@example.org":         "",
		"maria@example.org eve@example.org":         "",
		"maria@example.org\r\nBcc: eve@e.x":         "",
		"maria\r\n@example.org":                     "",
		"maria@example.org\x00":                     "",
		"maria\x00@example.org":                     "",
		"ma ria@example.org":                        "",
		"ma\tria@example.org":                       "",
		"maria@exam ple.org":                        "",
		".maria@example.org":                        "",
		"maria.@example.org":                        "",
		"ma..ria@example.org":                       "",
		"maria@.example.org":                        "",
		"maria@example..org":                        "",
		"maria@-example.org":                        "",
		"maria@example-.org":                        "",
		"maria@exa_mple.org":                        "",
		"maria@localhost":                           "",
		"maria@127.0.0.1":                           "",
		"maria@[127.0.0.1]":                         "",
		"maria@[IPv6:::1]":                          "",
		"maria@2130706433":                          "",
		"maria@127.1":                               "",
		"maria@0x7f.0x1":                            "",
		"maria@example.org.":                        "",
		"maria@.":                                   "",
		"maria@" + strings.Repeat("a", 63) + ".org": "maria@" + strings.Repeat("a", 63) + ".org",
		"mailto:maria@example.org":                  "",
		"maria@example.org?bcc=eve@e.x":             "",
		"maria\u200b@example.org":                   "",
		"maria\u202e@example.org":                   "",
		"maria@example\u2024org":                    "maria@example.org", // one dot leader is a full stop under NFKC
		"maria@example\u3002org":                    "maria@example.org",
		"maria@exa\u00admple.org":                   "maria@example.org",
		"\xffmaria@example.org":                     "",
		long + "a@example.org":                      "",
		"maria@" + strings.Repeat("a.", 140):        "",
		"maria@" + strings.Repeat("a", 64) + ".org": "",
	} {
		got, err := account.CanonicalEmail(in)
		if got != want || (err != nil) != (want == "") || (err != nil && !errors.Is(err, account.ErrEmail)) {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestAttack_F06_SpellingsOfOneIdentifierAreOne(t *testing.T) {
	t.Parallel()
	for want, forms := range map[string][]string{
		"maria@example.org": {"maria@example.org", "MARIA@EXAMPLE.ORG", " maria@example.org\t", "ｍａｒｉａ@example.org", "Maria@Example.Org"},
		"mquintero":         {"mquintero", "MQuintero", " mquintero ", "ｍquintero"},
		"straße_1":          {"straße_1"},
		"strasse":           {"STRASSE", "straSSe"},
	} {
		for _, f := range forms {
			got, err := account.Canonical(f)
			if err != nil || (got != want && want != "straße_1") {
				t.Errorf("%q: %q, %v, want %q", f, got, err, want)
			}
		}
	}
}

func TestAttack_E18_AUserNameIsNeverAnAddress(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"maria@example.org", "a＠b", "a﹫b.example", "@maria", "maria@"} {
		if got, err := account.CanonicalUsername(s); err == nil {
			t.Errorf("%q is the user name %q", s, got)
		}
		if got, err := account.Canonical(s); err == nil && !strings.Contains(got, "@") {
			t.Errorf("%q is found as %q", s, got)
		}
	}
}

func TestAttack_E20_UserNamesOfMixedScriptsAreRefused(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		"maria":                 true,
		"maria_q.84-x":          true,
		"мария":                 true,
		"東京ひかり":                 true,
		"mаria":                 false, // Cyrillic а
		"mαria":                 false, // Greek α
		"марiя":                 false,
		"ma\u200bria":           false,
		"ma\u202eria":           false,
		"ma ria":                false,
		"ma/ria":                false,
		"<maria>":               false,
		"1maria":                false,
		"_maria":                false,
		"ma":                    false,
		"":                      false,
		"mari\u0301a":           true, // í, however it was typed
		"maria\u0301\u0301":     false,
		"marx\u0301":            false, // a mark that is no part of a letter
		"١٢٣":                   false,
		"maria١":                false,
		strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false,
		"\xffmaria":             false,
		"ma\x00ria":             false,
		"maria\r\n":             true, // at the ends, spaces of any kind are none
		"ma\r\nria":             false,
	} {
		got, err := account.CanonicalUsername(in)
		if (err == nil) != ok || (err != nil && !errors.Is(err, account.ErrUsername)) {
			t.Errorf("%q: %q, %v, want taken %v", in, got, err, ok)
		}
	}
}

// The length is looked at before anything else. Not parallel: what others allocate would count.
func TestAttack_I09_AHugeAddressCostsNothing(t *testing.T) {
	for _, huge := range []string{strings.Repeat("a", 1<<20) + "@example.org", strings.Repeat("@", 1<<20), strings.Repeat("\u0301", 1<<19), strings.Repeat(`"(`, 1<<19)} {
		allocs := testing.AllocsPerRun(10, func() {
			if _, err := account.Canonical(huge); err == nil {
				t.Fatal("taken")
			}
		})
		if allocs > 20 {
			t.Errorf("%v allocations", allocs)
		}
	}
}

func TestDraft_NewNamesEveryFaultAndKeepsOnlyWhatWasChecked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	good := account.Draft{Email: " Maria@Example.org ", GivenName: " María  José ", FamilyName: "O’Neill-Quintero", BirthDate: "1984-03-09", Country: "VE", Locale: "es", Username: "MQuintero"}
	made, faults := good.New(now)
	a := made.Account
	if len(faults) != 0 || a.GivenName != "María José" || a.Email != "Maria@example.org" || a.Username != "MQuintero" || a.Status != account.Active || !a.EmailVerifiedAt.Equal(now) ||
		len(made.Canonical) != 2 || made.Canonical[0] != "maria@example.org" || made.Canonical[1] != "mquintero" {
		t.Errorf("got %+v, %v", made, faults)
	}
	_, faults = account.Draft{Email: "x", GivenName: "<b>", FamilyName: "", BirthDate: "2026-11-25", Country: "XX", Locale: "fr", Username: "1"}.New(now)
	for i, want := range []error{account.ErrGivenName, account.ErrFamilyName, account.ErrBirthDate, account.ErrCountry, account.ErrLocale, account.ErrEmail, account.ErrUsername} {
		if i >= len(faults) || !errors.Is(faults[i], want) {
			t.Fatalf("fault %d: want %v among %v", i, want, faults)
		}
	}
}

func TestAttack_E29_ANameIsInertText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"María":                               "María",
		"  Jean - Luc  ":                      "Jean - Luc",
		"D'Angelo":                            "D'Angelo",
		"Nguyễn":                              "Nguyễn",
		"सीता":                                "सीता",
		"李":                                   "李",
		"Jr.":                                 "Jr.",
		"":                                    "",
		"   ":                                 "",
		"...":                                 "",
		"<b>Eve</b>":                          "",
		"Eve & Co":                            "",
		"Eve\r\nBcc: all@example.org":         "",
		"Eve\x00":                             "",
		"Eve\u202egnp":                        "",
		"Eve\u200b":                           "",
		"https://evil.example":                "",
		"Eve {{.}}":                           "",
		"Eve=?utf-8?B?YQ==?=":                 "",
		"Eve\"":                               "",
		"123":                                 "",
		strings.Repeat("a", 101):              "",
		strings.Repeat("a", 100):              strings.Repeat("a", 100),
		"\xff":                                "",
		"a" + strings.Repeat("\u0301", 10000): "",
	} {
		got, err := account.Name(in, account.ErrGivenName)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestProfile_TakesRealDatesCountriesAndLanguages(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for in, ok := range map[string]bool{
		"1984-03-09": true, "2026-11-24": true, "1896-11-25": true, "2000-02-29": true,
		"2026-11-25": false, "1896-11-23": false, "1999-02-29": false, "84-03-09": false, "1984-3-9": false, "": false, "1984-03-09T00:00:00Z": false, "0000-00-00": false,
	} {
		if _, err := account.BirthDate(in, now); (err == nil) != ok {
			t.Errorf("date %q: %v", in, err)
		}
	}
	for in, ok := range map[string]bool{"VE": true, "MX": true, "US": true, "XX": false, "ve": false, "VEN": false, "419": false, "": false, "EU": false, "\xff\xff": false} {
		if _, err := account.Country(in); (err == nil) != ok {
			t.Errorf("country %q: %v", in, err)
		}
	}
	for in, ok := range map[string]bool{"en": true, "es": true, "EN": false, "en-US": false, "": false} {
		if _, err := account.Locale(in); (err == nil) != ok {
			t.Errorf("language %q: %v", in, err)
		}
	}
}

func FuzzCanonicalEmail(f *testing.F) {
	for _, s := range []string{"maria@example.org", `"a b"@example.org`, "a@b@c.d", "ＭＡ@ex.org", "m@bücher.example", "a@[::1]", "x@ß.example", "İ@example.org"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mailbox, canonical, err := account.Address(s)
		if err != nil {
			return
		}
		if again, err := account.CanonicalEmail(canonical); err != nil || again != canonical {
			t.Fatalf("%q is %q, which is %q, %v", s, canonical, again, err)
		}
		if again, err := account.CanonicalEmail(mailbox); err != nil || again != canonical {
			t.Fatalf("%q goes to %q, which is %q and not %q, %v", s, mailbox, again, canonical, err)
		}
		if len(canonical) > 254 || strings.Count(canonical, "@") != 1 || strings.ContainsAny(canonical, " \t\r\n\"(),:;<>[\\]\x00") {
			t.Fatalf("%q is %q", s, canonical)
		}
		if a, err := mail.ParseAddress(mailbox); err != nil || norm.NFKC.String(a.Address) != mailbox {
			t.Fatalf("%q: net/mail reads %q as %v, %v", s, mailbox, a, err)
		}
	})
}

func FuzzCanonicalUsername(f *testing.F) {
	for _, s := range []string{"maria", "МАРИЯ", "straße", "ﬁnn", "a@b", "İzmir", "ΣΑΣ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := account.CanonicalUsername(s)
		if err != nil {
			return
		}
		if again, err := account.CanonicalUsername(c); err != nil || again != c {
			t.Fatalf("%q is %q, which is %q, %v", s, c, again, err)
		}
		if n := utf8.RuneCountInString(c); n < 3 || n > 64 || strings.Contains(c, "@") {
			t.Fatalf("%q is %q", s, c)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("María José")
	f.Add("a\u0301 ")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := account.Name(s, account.ErrGivenName)
		if err != nil {
			return
		}
		if again, err := account.Name(n, account.ErrGivenName); err != nil || again != n {
			t.Fatalf("%q is %q, which is %q, %v", s, n, again, err)
		}
		if strings.ContainsAny(n, "<>&\"\r\n\t\x00/:@{}") {
			t.Fatalf("%q is %q", s, n)
		}
	})
}
