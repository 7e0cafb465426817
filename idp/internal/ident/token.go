package ident

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// Kind is the kind of a bearer artefact. Its text is the artefact's prefix, so that one kind can never pass for another
// and secret scanners can find what leaked.
type Kind string

// The kinds of artefact that this provider hands out.
const (
	AuthorizationCode Kind = "eac_" // RFC 6749 §4.1.2
	RefreshToken      Kind = "ert_" // RFC 6749 §6
	PushedRequest     Kind = "epr_" // RFC 9126 §2.2
	ClientSecret      Kind = "ecs_" // RFC 6749 §2.3.1
	MailLink          Kind = "eml_" // the secret of a link that a mail carries
	SessionCookie     Kind = "ess_" // the browser session
	FlowCookie        Kind = "efb_" // binds pending authorizations to a browser
	DeviceCookie      Kind = "edv_" // recognises a browser that signed in before
)

const (
	secretBytes = 32
	secretText  = 43 // secretBytes in unpadded base64url
	sumText     = 6  // a CRC-32 in unpadded base64url
	prefixText  = 4
)

// TokenLen is the length of every artefact as text, in bytes.
const TokenLen = prefixText + secretText + sumText

var tokenText = base64.RawURLEncoding.Strict()

// NewToken returns a fresh artefact of the given kind: prefix, 256 random bits, checksum.
func NewToken(k Kind) string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:])
	body := string(k) + tokenText.EncodeToString(b[:])
	return body + checksum(body)
}

// IsToken reports whether s has the form of an artefact of kind k. It says nothing about whether it was ever issued; it
// lets a mistyped or foreign value be refused before any store is asked.
func IsToken(k Kind, s string) bool {
	if len(s) != TokenLen || s[:prefixText] != string(k) {
		return false
	}
	body := s[:prefixText+secretText]
	if _, err := tokenText.DecodeString(body[prefixText:]); err != nil {
		return false
	}
	return s[prefixText+secretText:] == checksum(body)
}

// Hash is what a store keeps of an artefact: SHA-256 over its whole text. The text carries 256 random bits, so that no
// salt is needed, and any change to it names another row.
func Hash(s string) [32]byte { return sha256.Sum256([]byte(s)) }

func checksum(body string) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc32.ChecksumIEEE([]byte(body)))
	return tokenText.EncodeToString(b[:])
}
