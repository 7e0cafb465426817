package factor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"ellis.example/idp/internal/fault"
)

const (
	recoveryCount = 10
	recoveryChars = 16 // of 5 bits each: 80 bits
	recoveryGroup = 4
)

// recoveryAlphabet is Crockford's: 32 letters and digits that nobody confuses.
const recoveryAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ErrRecoveryWrong is returned for a code that is unknown or was used.
var ErrRecoveryWrong = fault.New(fault.Invalid, "recovery_wrong", "this recovery code is not right or was used already").At("code")

// RecoveryCode is what is kept of a recovery code.
type RecoveryCode struct {
	Salt   [16]byte
	Hash   [32]byte
	MadeAt time.Time
	UsedAt time.Time
}

// NewRecoveryCodes returns fresh codes as text, shown once, and what to keep of them. key is not in the database.
func NewRecoveryCodes(key []byte) (texts []string, codes []RecoveryCode) {
	for range recoveryCount {
		var b [recoveryChars]byte
		_, _ = rand.Read(b[:]) // never fails
		var plain strings.Builder
		for _, c := range b {
			plain.WriteByte(recoveryAlphabet[c&31])
		}
		code := RecoveryCode{}
		_, _ = rand.Read(code.Salt[:])
		code.Hash = recoveryHash(key, code.Salt, plain.String())
		codes = append(codes, code)
		texts = append(texts, grouped(plain.String()))
	}
	return texts, codes
}

func grouped(s string) string {
	var out []string
	for i := 0; i < len(s); i += recoveryGroup {
		out = append(out, s[i:i+recoveryGroup])
	}
	return strings.Join(out, "-")
}

func recoveryHash(key []byte, salt [16]byte, plain string) [32]byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write(salt[:])
	_, _ = m.Write([]byte(plain))
	return [32]byte(m.Sum(nil))
}

// plainRecovery reads what a person typed: case, hyphens and spaces do not count, and letters that are not in the
// alphabet stand for the digits that they are taken for.
func plainRecovery(s string) string {
	if len(s) > 128 {
		return ""
	}
	return strings.NewReplacer("-", "", " ", "", "\t", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.TrimSpace(s)))
}

// CheckRecovery finds the unused code that text is. Every code is looked at. Errors: ErrRecoveryWrong.
func CheckRecovery(key []byte, codes []RecoveryCode, text string) (RecoveryCode, error) {
	plain := plainRecovery(text)
	found := -1
	for i, c := range codes {
		h := recoveryHash(key, c.Salt, plain)
		if subtle.ConstantTimeCompare(h[:], c.Hash[:]) == 1 && c.UsedAt.IsZero() {
			found = i
		}
	}
	if len(plain) != recoveryChars || found < 0 {
		return RecoveryCode{}, ErrRecoveryWrong
	}
	return codes[found], nil
}

// Left counts the unused codes.
func Left(codes []RecoveryCode) (n int) {
	for _, c := range codes {
		if c.UsedAt.IsZero() {
			n++
		}
	}
	return n
}
