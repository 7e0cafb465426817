package account_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"os"
	"strings"
	"testing"

	"ellis.example/idp/internal/account"
)

func TestCheckPassword_TellsTheReason(t *testing.T) {
	t.Parallel()
	about := []string{"María", "Quintero", "maria.quintero@example.org", "mquintero84", "1984-03-09"}
	for pw, want := range map[string]error{
		"":                account.ErrPasswordShort,
		"fourteen chars":  account.ErrPasswordShort,
		"fifteen chars !": nil,
		"ﷺ":               account.ErrPasswordShort, // NFKC writes it with 18 characters
		"e\u0301a\u0300o\u0301u\u0300i\u0301e\u0300a\u0301o\u0300": account.ErrPasswordShort, // 8, typed as 16
		"correct horse battery maple":                              nil,
		"aaaaaaaaaaaaaaab":                                         account.ErrPasswordRepeats,
		"abcabcabcabcabcabc":                                       account.ErrPasswordRepeats,
		"sunshinesunshine":                                         account.ErrPasswordRepeats,
		"123456789012345":                                          account.ErrPasswordSequence,
		"abcdefghijklmnop":                                         account.ErrPasswordSequence,
		"987654321zyxwvut":                                         account.ErrPasswordSequence,
		"qwertyuiopasdfghjkl":                                      account.ErrPasswordKeyboard,
		"1qaz2wsx3edc4rfv":                                         account.ErrPasswordCommon,
		"zaq12wsxcde34rfv":                                         account.ErrPasswordKeyboard,
		"maria quintero 1984":                                      account.ErrPasswordContext,
		"Ellis Portal Password":                                    account.ErrPasswordContext,
		"mquintero84mquint":                                        account.ErrPasswordContext,
		"sunshine!!!!!!1234":                                       nil,
		"passwordsunshine":                                         account.ErrPasswordCommon,
		"\xff\xfe not valid text at all":                           account.ErrPasswordEncoding,
		"tres tristes tigres":                                      nil,
		"пятнадцать букв":                                          nil,
		"密码密碼長度十五個字符以上吧啊哦":                                         nil,
		strings.Repeat("x7 Qm", 13):                                account.ErrPasswordRepeats,
		"🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤🦆":              nil,
		strings.Repeat("long ", 200):   account.ErrPasswordRepeats,
		"a" + strings.Repeat("ü", 512): account.ErrPasswordLong,
	} {
		if got := account.CheckPassword(pw, about...); !errors.Is(got, want) {
			t.Errorf("%q: %v, want %v", pw, got, want)
		}
	}
}

func TestCheckPassword_LengthCountsCodePoints(t *testing.T) {
	t.Parallel()
	for _, n := range []int{64, 256} {
		var b strings.Builder
		for i := range n {
			b.WriteRune(rune('a' + (i*i*i+5*i*i/7)%26))
		}
		if err := account.CheckPassword(b.String()); err != nil {
			t.Errorf("%d code points: %v", n, err)
		}
	}
}

// Every entry of the list is refused, and the reason is never "too short" alone.
func TestCheckPassword_RefusesTheWholeList(t *testing.T) {
	t.Parallel()
	f, err := os.Open("blocklist/passwords.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for sc := bufio.NewScanner(z); sc.Scan(); n++ {
		for _, pw := range []string{sc.Text(), strings.ToUpper(sc.Text())} {
			if err := account.CheckPassword(pw); !errors.Is(err, account.ErrPasswordCommon) {
				t.Fatalf("%q: %v", pw, err)
			}
		}
	}
	if n < 40_000 {
		t.Fatalf("only %d entries", n)
	}
}

func TestStrength_GrowsWithLength(t *testing.T) {
	t.Parallel()
	last := 0
	for _, pw := range []string{"fifteen chars !", "eighteen characters", "four plain english words here now"} {
		s := account.Strength(pw)
		if s < last || s < 1 || s > 5 {
			t.Errorf("%q: %d after %d", pw, s, last)
		}
		last = s
	}
}
