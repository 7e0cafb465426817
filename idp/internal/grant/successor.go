package grant

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
)

// SealSuccessor seals the text of a refresh token's successor under a key that only the holder of the old token's text and
// this provider together can make: what the store keeps opens nothing.
func SealSuccessor(secret []byte, old, next string) ([]byte, error) {
	aead, err := successorKey(secret, old)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, []byte(next), nil), nil
}

// OpenSuccessor reverses SealSuccessor.
func OpenSuccessor(secret []byte, old string, sealed []byte) (string, error) {
	aead, err := successorKey(secret, old)
	if err != nil {
		return "", err
	}
	if len(sealed) < aead.NonceSize() {
		return "", errors.New("grant: no successor is sealed")
	}
	b, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	return string(b), err
}

func successorKey(secret []byte, old string) (cipher.AEAD, error) {
	m := hmac.New(sha256.New, secret)
	_, _ = m.Write([]byte("refresh successor\x00" + old))
	block, err := aes.NewCipher(m.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
