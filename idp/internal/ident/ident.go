package ident

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"
)

// idText is lower-case Crockford base32: no padding, no letters that people confuse.
var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// idLen is the length of an identifier's random part as text: 16 bytes in base32.
const idLen = 26

// New returns a fresh identifier "<prefix>_<26 characters>" with 128 random bits.
// Identifiers name things; they are not secrets and open nothing by themselves.
func New(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (it aborts the program instead)
	return prefix + "_" + idText.EncodeToString(b[:])
}

// timeBytes is how much of an identifier in order is its time.
const timeBytes = 6

// InOrder returns an identifier like New's that begins with the present time, in milliseconds, and has 80 random bits after it
// (RFC 9562 §5.7 has the reasons). Indexes over what every request makes then grow at one end: a random place for each row costs
// a page read and a page written, once they are larger than the cache. It is for what may be known to be as old as it is.
func InOrder(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[timeBytes:])
	now := time.Now().UnixMilli() //nolint:forbidigo // it puts in order, and decides nothing
	for i := timeBytes - 1; i >= 0; i-- {
		b[i] = byte(now)
		now >>= 8
	}
	return prefix + "_" + idText.EncodeToString(b[:])
}

// Valid reports whether s is an identifier that New or InOrder could have made with this prefix.
func Valid(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) != idLen {
		return false
	}
	b, err := idText.DecodeString(rest)
	return err == nil && idText.EncodeToString(b) == rest
}
