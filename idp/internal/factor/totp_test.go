package factor_test

import (
	"bytes"
	"encoding/base32"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/seal"
)

const seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // of RFC 6238 appendix B, in base32

func sealer(t testing.TB) *seal.Sealer {
	t.Helper()
	s, err := seal.New(bytes.Repeat([]byte{5}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func enrolled(t testing.TB, s *seal.Sealer, account, secret string) factor.TOTP {
	t.Helper()
	f, err := factor.NewTOTP(s, account, secret, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// shown is what an app shows at a time step.
func shown(t testing.TB, secret string, step int64) string {
	t.Helper()
	c, err := hotp.GenerateCodeCustom(secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The vectors of RFC 6238 appendix B, cut to six digits.
func TestCheckTOTP_AgreesWithTheStandard(t *testing.T) {
	t.Parallel()
	s := sealer(t)
	list := []factor.TOTP{enrolled(t, s, "acc_1", seed)}
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		m, err := factor.CheckTOTP(s, list, 0, code, time.Unix(at, 0))
		if err != nil || m.Step != at/30 || m.ID != list[0].ID {
			t.Errorf("%d: %+v, %v", at, m, err)
		}
	}
}

func TestAttack_E08_OnlyStepsAfterTheLastCount(t *testing.T) {
	t.Parallel()
	s := sealer(t)
	now := time.Unix(1_800_000_015, 0)
	current := now.Unix() / 30
	list := []factor.TOTP{enrolled(t, s, "acc_1", "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U"), enrolled(t, s, "acc_1", seed)}
	for offset, want := range map[int64]error{-2: factor.ErrCodeWrong, -1: nil, 0: nil, 1: nil, 2: factor.ErrCodeWrong} {
		m, err := factor.CheckTOTP(s, list, 0, shown(t, seed, current+offset), now)
		if !errors.Is(err, want) || (err == nil && (m.Step != current+offset || m.ID != list[1].ID)) {
			t.Errorf("step %+d: %+v, %v, want %v", offset, m, err, want)
		}
	}
	for last := current - 1; last <= current+1; last++ {
		for step := current - 1; step <= current+1; step++ {
			_, err := factor.CheckTOTP(s, list, last, shown(t, seed, step), now)
			if used := errors.Is(err, factor.ErrCodeUsed); used != (step <= last) {
				t.Errorf("step %d after %d: %v", step-current, last-current, err)
			}
		}
	}
}

func TestCheckTOTP_ReadsSixDigitsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := sealer(t)
	list := []factor.TOTP{enrolled(t, s, "acc_1", seed)}
	now := time.Unix(59, 0)
	for code, want := range map[string]error{
		"287082": nil, " 287 082 ": nil, "287\t082": nil, "": factor.ErrCodeFormat, "28708": factor.ErrCodeFormat, "2870820": factor.ErrCodeFormat, "28708a": factor.ErrCodeFormat, "２８７０８２": factor.ErrCodeFormat,
		"-87082": factor.ErrCodeFormat, "0x1234": factor.ErrCodeFormat, "287082\x00": factor.ErrCodeFormat, strings.Repeat(" ", 60) + "287082": factor.ErrCodeFormat, strings.Repeat("1", 1<<20): factor.ErrCodeFormat, "000000": factor.ErrCodeWrong,
	} {
		if _, err := factor.CheckTOTP(s, list, 0, code, now); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", code, err, want)
		}
	}
	if _, err := factor.CheckTOTP(s, nil, 0, "287082", now); !errors.Is(err, factor.ErrCodeWrong) {
		t.Errorf("without an app: %v", err)
	}
}

// A sealed seed that was moved to another account opens nothing there.
func TestCheckTOTP_ASeedIsOfOneAccount(t *testing.T) {
	t.Parallel()
	s := sealer(t)
	f := enrolled(t, s, "acc_1", seed)
	if bytes.Contains(f.Sealed, []byte("12345678901234567890")) {
		t.Error("the seed is not sealed")
	}
	f.Account = "acc_2"
	if _, err := factor.CheckTOTP(s, []factor.TOTP{f}, 0, "287082", time.Unix(59, 0)); err == nil {
		t.Error("it opens another account")
	}
}

func TestEnrolment_ShowsOneSeedUntilItEnds(t *testing.T) {
	t.Parallel()
	s := sealer(t)
	now := time.Unix(1_800_000_000, 0)
	e, err := factor.Begin(s, "acc_1", "Ellis & Co", "ana@example.org", now)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(e.URI)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Ellis & Co:ana@example.org" || u.Query().Get("secret") != e.Secret || u.Query().Get("issuer") != "Ellis & Co" || strings.Contains(e.URI, "+") {
		t.Errorf("%s, %v", e.URI, err)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(e.Secret)
	if err != nil || len(raw) < 20 {
		t.Errorf("a seed of %d bytes: %v", len(raw), err)
	}
	if strings.Contains(e.Token, e.Secret) {
		t.Error("the token shows the seed")
	}
	again, err := factor.Resume(s, "acc_1", e.Token, "Ellis & Co", "ana@example.org", now.Add(15*time.Minute-time.Second))
	if err != nil || again != e {
		t.Errorf("%+v, %v", again, err)
	}
	for what, c := range map[string]struct {
		account, token string
		at             time.Time
	}{
		"late": {"acc_1", e.Token, now.Add(15 * time.Minute)}, "somebody else": {"acc_2", e.Token, now}, "none": {"acc_1", "", now}, "altered": {"acc_1", e.Token[1:] + e.Token[:1], now}, "cut": {"acc_1", e.Token[:40], now},
		"no base64": {"acc_1", "!!", now},
	} {
		if _, err := factor.Resume(s, c.account, c.token, "x", "x", c.at); !errors.Is(err, factor.ErrEnrolmentExpired) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := factor.Finish(s, c.account, c.token, shown(t, e.Secret, c.at.Unix()/30), c.at); !errors.Is(err, factor.ErrEnrolmentExpired) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := factor.Finish(s, "acc_1", e.Token, "000000", now); !errors.Is(err, factor.ErrCodeWrong) {
		t.Errorf("a wrong code: %v", err)
	}
	one, err := factor.Finish(s, "acc_1", e.Token, shown(t, e.Secret, now.Unix()/30), now)
	if err != nil || one.TOTP.Account != "acc_1" || one.Step != now.Unix()/30 || one.Once.Ref != one.TOTP.ID {
		t.Fatalf("%+v, %v", one, err)
	}
	two, err := factor.Finish(s, "acc_1", e.Token+"\n", shown(t, e.Secret, now.Unix()/30), now)
	if err != nil || two.Once.Key != one.Once.Key || two.Once.Kind != one.Once.Kind {
		t.Errorf("the token, written in another way, is another use: %v", err)
	}
	other, err := factor.Begin(s, "acc_1", "Ellis", "ana@example.org", now)
	if err != nil || other.Secret == e.Secret {
		t.Errorf("two enrolments have one seed, %v", err)
	}
}

func TestNewTOTP_RefusesWeakSeeds(t *testing.T) {
	t.Parallel()
	s := sealer(t)
	for secret, ok := range map[string]bool{seed: true, strings.ToLower(seed): true, " " + seed + "====\n": true, "GEZDGNBVGY3TQOJQ": false, "": false, "!!": false, strings.Repeat("A", 104): false, seed + "1": false} {
		if _, err := factor.NewTOTP(s, "acc_1", secret, time.Unix(0, 0)); (err == nil) != ok {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func FuzzCheckTOTP(f *testing.F) {
	s := sealer(f)
	list := []factor.TOTP{enrolled(f, s, "acc_1", seed)}
	f.Add("287082", int64(59), int64(0))
	f.Add(" 28 70 82", int64(-1), int64(-9))
	f.Fuzz(func(t *testing.T, code string, at, last int64) {
		m, err := factor.CheckTOTP(s, list, last, code, time.Unix(at, 0))
		if err == nil && (m.Step <= last || m.Step < at/30-2 || m.Step > at/30+2) {
			t.Fatalf("%q at %d after %d: %+v", code, at, last, m)
		}
	})
}
