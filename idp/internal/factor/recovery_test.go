package factor_test

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/factor"
)

var recoveryKey = bytes.Repeat([]byte{6}, 32)

func TestRecovery_CodesAreDistinctLongAndKeptAsHashes(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$`) // 16 characters of 5 bits each
	seen := map[string]bool{}
	for range 50 {
		texts, codes := factor.NewRecoveryCodes(recoveryKey)
		if len(texts) != 10 || len(codes) != 10 || factor.Left(codes) != 10 {
			t.Fatalf("%d texts of %d codes", len(texts), len(codes))
		}
		for i, s := range texts {
			if !form.MatchString(s) || seen[s] {
				t.Fatalf("%q", s)
			}
			seen[s] = true
			if c, err := factor.CheckRecovery(recoveryKey, codes, s); err != nil || c != codes[i] {
				t.Fatalf("%q: %v", s, err)
			}
		}
	}
}

func TestRecovery_ReadsWhatPeopleType(t *testing.T) {
	t.Parallel()
	texts, codes := factor.NewRecoveryCodes(recoveryKey)
	typed := texts[3]
	for _, s := range []string{strings.ToLower(typed), strings.ReplaceAll(typed, "-", ""), strings.ReplaceAll(typed, "-", " "), "  " + typed + "\n", strings.NewReplacer("0", "O", "1", "l").Replace(typed), strings.NewReplacer("0", "o", "1", "I").Replace(typed)} {
		if c, err := factor.CheckRecovery(recoveryKey, codes, s); err != nil || c != codes[3] {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "-", typed[:18], typed + "0", typed[1:] + typed[:1], strings.Repeat(typed, 9), strings.Repeat("0", 1<<20), typed + "\x00", "\xff" + typed} {
		if _, err := factor.CheckRecovery(recoveryKey, codes, s); !errors.Is(err, factor.ErrRecoveryWrong) {
			t.Errorf("%.30q: %v", s, err)
		}
	}
	if _, err := factor.CheckRecovery(bytes.Repeat([]byte{7}, 32), codes, typed); !errors.Is(err, factor.ErrRecoveryWrong) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := factor.CheckRecovery(recoveryKey, nil, ""); !errors.Is(err, factor.ErrRecoveryWrong) {
		t.Errorf("without codes: %v", err)
	}
}

// Used codes and ten thousand random ones open nothing.
func TestAttack_E12_GuessedAndUsedRecoveryCodesAreRefused(t *testing.T) {
	t.Parallel()
	texts, codes := factor.NewRecoveryCodes(recoveryKey)
	used := slices.Clone(codes)
	for i := range used {
		used[i].UsedAt = time.Unix(1, 0)
		if _, err := factor.CheckRecovery(recoveryKey, used, texts[i]); !errors.Is(err, factor.ErrRecoveryWrong) || factor.Left(used) != 9-i {
			t.Errorf("a used one: %v, %d left", err, factor.Left(used))
		}
	}
	for range 1000 {
		guesses, _ := factor.NewRecoveryCodes(recoveryKey)
		for _, g := range guesses {
			if _, err := factor.CheckRecovery(recoveryKey, codes, g); err == nil {
				t.Fatalf("the guess %q is right", g)
			}
		}
	}
}

func FuzzCheckRecovery(f *testing.F) {
	texts, codes := factor.NewRecoveryCodes(recoveryKey)
	f.Add(texts[0])
	f.Add("0000-0000-0000-0000")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := factor.CheckRecovery(recoveryKey, codes, s)
		if err == nil && !slices.Contains(codes, c) {
			t.Fatalf("%q", s)
		}
	})
}
