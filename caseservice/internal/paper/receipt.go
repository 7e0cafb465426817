package paper

import (
	"crypto/rand"
	"math/big"

	"ellis.example/caseservice/internal/fault"
)

// Receipt is a receipt number in its one canonical form: three letters and ten digits.
type Receipt string

// ReceiptLen is the length of a receipt number in bytes.
const ReceiptLen = 13

// maxReceiptInput bounds what people type: dashes and spaces included.
const maxReceiptInput = 32

// ErrReceipt says that a text is no receipt number.
var ErrReceipt = fault.New(fault.Invalid, "receipt_format", "a receipt number is three letters and ten digits, like IOE0912345678")

// ParseReceipt reads a receipt number. Spaces, dashes and lower-case letters are forgiven; everything else, other
// scripts' letters and digits included, is ErrReceipt.
func ParseReceipt(s string) (Receipt, error) {
	if len(s) > maxReceiptInput {
		return "", ErrReceipt
	}
	out := make([]byte, 0, ReceiptLen)
	for i := range len(s) {
		c := s[i]
		if c == ' ' || c == '-' {
			continue
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		letter, digit := 'A' <= c && c <= 'Z', '0' <= c && c <= '9'
		if len(out) == ReceiptLen || len(out) < 3 && !letter || len(out) >= 3 && !digit {
			return "", ErrReceipt
		}
		out = append(out, c)
	}
	if len(out) != ReceiptLen {
		return "", ErrReceipt
	}
	return Receipt(out), nil
}

// NewReceipt makes a receipt number with ten random digits, so that nobody can count their way to a neighbour's case.
// office is the three-letter code of the receiving office.
func NewReceipt(office string) (Receipt, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1e10))
	if err != nil {
		return "", err
	}
	digits := []byte("0000000000")
	for i, v := len(digits)-1, n.Int64(); v > 0; i, v = i-1, v/10 {
		digits[i] = byte('0' + v%10)
	}
	return ParseReceipt(office + string(digits))
}
