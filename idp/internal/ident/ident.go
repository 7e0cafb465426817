package ident

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
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

// Valid reports whether s is an identifier that New(prefix) could have made.
func Valid(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) != idLen {
		return false
	}
	b, err := idText.DecodeString(rest)
	return err == nil && idText.EncodeToString(b) == rest
}
