package paper

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"ellis.example/caseservice/internal/fault"
)

// ClaimCode is the secret of a paper notice in canonical form: 20 characters that carry 100 random bits, then four of
// checksum, in Crockford's base32 without separators.
type ClaimCode string

const (
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeRandom   = 20 // characters of 5 bits
	codeLen      = 24
	codeGroup    = 4
	maxCodeInput = 64
)

var codeText = base32.NewEncoding(codeAlphabet).WithPadding(base32.NoPadding)

// The faults of what people type. Both cost no try: they are decided without looking at any case.
var (
	ErrCodeFormat   = fault.New(fault.Invalid, "code_format", "a claim code is 24 letters and digits, in groups of four")
	ErrCodeChecksum = fault.New(fault.Invalid, "code_checksum", "the claim code was mistyped: compare it with the notice, group by group")
)

// NewClaimCode makes a fresh code.
func NewClaimCode() ClaimCode {
	var b [15]byte // 120 bits give 24 characters, of which 20 are kept
	_, _ = rand.Read(b[:])
	body := codeText.EncodeToString(b[:])[:codeRandom]
	return ClaimCode(body + codeChecksum(body))
}

// ParseClaimCode reads a code as people type it: spaces, dashes and lower case are forgiven, O is read as 0, and I and L
// as 1. Errors: ErrCodeFormat, ErrCodeChecksum.
func ParseClaimCode(s string) (ClaimCode, error) {
	if len(s) > maxCodeInput {
		return "", ErrCodeFormat
	}
	out := make([]byte, 0, codeLen)
	for i := range len(s) {
		c := s[i]
		if c == ' ' || c == '-' {
			continue
		}
		if c = foldCodeChar(c); c == 0 || len(out) == codeLen {
			return "", ErrCodeFormat
		}
		out = append(out, c)
	}
	if len(out) != codeLen {
		return "", ErrCodeFormat
	}
	if body := string(out[:codeRandom]); codeChecksum(body) != string(out[codeRandom:]) {
		return "", ErrCodeChecksum
	}
	return ClaimCode(out), nil
}

// foldCodeChar returns the character of the alphabet that c stands for, or 0.
func foldCodeChar(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch c {
	case 'O':
		return '0'
	case 'I', 'L':
		return '1'
	}
	if strings.IndexByte(codeAlphabet, c) < 0 {
		return 0
	}
	return c
}

// Grouped returns the code as a notice prints it: six groups of four.
func (c ClaimCode) Grouped() string {
	var b strings.Builder
	for i := 0; i < len(c); i += codeGroup {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(string(c[i:min(i+codeGroup, len(c))]))
	}
	return b.String()
}

// String keeps a code out of logs that print values.
func (c ClaimCode) String() string { return "claim code (hidden)" }

// codeChecksum is 20 bits of a hash: a slip of the pen passes once in a million, and nothing is learnt from it.
func codeChecksum(body string) string {
	sum := sha256.Sum256([]byte("ellis claim code v1\x00" + body))
	return codeText.EncodeToString(sum[:5])[:codeLen-codeRandom]
}

// CodeMAC is what a store keeps of a code: a MAC under a key that is not in the database, bound to the case's receipt.
func CodeMAC(key []byte, r Receipt, c ClaimCode) []byte {
	return macOf(key, "claim code", string(r), string(c))
}

// ReceiptMAC names a receipt number in the table of back-offs, so that guesses at receipts of no case leave no list of
// receipts behind.
func ReceiptMAC(key []byte, r Receipt) []byte { return macOf(key, "claim receipt", string(r)) }

func macOf(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		_, _ = m.Write([]byte(p)) // hash writes never fail
		_, _ = m.Write([]byte{0})
	}
	return m.Sum(nil)
}
