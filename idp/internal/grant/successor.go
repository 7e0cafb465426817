package grant

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"

	"ellis.example/idp/internal/fault"
)

// ErrSuccessor is returned for a sealed successor that was sealed under another token, or altered.
var ErrSuccessor = fault.New(fault.Internal, "successor_unreadable", "the successor of this refresh token cannot be read")

// SealSuccessor encrypts the text of the token that replaces presented, so that only who presents presented again can be
// given it: the store alone reveals nothing.
func SealSuccessor(presented, successor string) ([]byte, error) {
	a, err := successorKey(presented)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, []byte(successor), nil), nil //nolint:gosec // the AEAD makes its own random nonce
}

// OpenSuccessor decrypts what SealSuccessor made. Errors: ErrSuccessor.
func OpenSuccessor(presented string, sealed []byte) (string, error) {
	a, err := successorKey(presented)
	if err != nil {
		return "", err
	}
	text, err := a.Open(nil, nil, sealed, nil)
	if err != nil {
		return "", ErrSuccessor.Because(err)
	}
	return string(text), nil
}

// successorKey derives a key from the text of a token (HKDF-SHA256, RFC 5869): it has 256 random bits, and the store keeps
// only its plain SHA-256, from which this key does not follow.
func successorKey(presented string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(presented), nil, "ellis refresh successor v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
