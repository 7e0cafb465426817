package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"ellis.example/idp/internal/fault"
)

// KeySize is the length of a key-encryption key in bytes.
const KeySize = 32

// IDSize is how many bytes at the beginning of a sealed value name the key that sealed it.
const IDSize = 4

// ErrOpen is returned for a value that was sealed under another key, for another owner, or was altered.
var ErrOpen = fault.New(fault.Internal, "unseal_failed", "a stored secret cannot be opened: is the key-encryption key the one that sealed it?")

// KeyID names a key-encryption key. It is derived from the key, and tells nothing about it.
type KeyID [IDSize]byte

// String returns eight hexadecimal digits.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// ParseKeyID reads what String wrote.
func ParseKeyID(s string) (id KeyID, ok bool) {
	n, err := hex.Decode(id[:], []byte(s[:min(len(s), hex.EncodedLen(IDSize))]))
	return id, err == nil && n == IDSize && len(s) == hex.EncodedLen(IDSize)
}

// KeyOf returns the key that a sealed value names. It reports false for what is too short to be one.
func KeyOf(sealed []byte) (KeyID, bool) {
	if len(sealed) < IDSize {
		return KeyID{}, false
	}
	return KeyID(sealed[:IDSize]), true
}

// Sealer seals under one of its keys, at first under the first, and opens under any. It is safe for concurrent use.
type Sealer struct {
	keys []key
	uses atomic.Int32 // the place of the key that seals
}

type key struct {
	id   KeyID
	aead *subtle.AESGCM
}

// New returns a sealer. The first key seals; the others open what older keys sealed. Each has KeySize random bytes.
func New(keys ...[]byte) (*Sealer, error) {
	s := &Sealer{}
	for _, k := range keys {
		if len(k) != KeySize {
			return nil, fmt.Errorf("a key-encryption key has %d bytes, want %d", len(k), KeySize)
		}
		a, err := subtle.NewAESGCM(k)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("ellis key-encryption key id\x00"), k...))
		s.keys = append(s.keys, key{KeyID(sum[:IDSize]), a})
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("no key-encryption key")
	}
	return s, nil
}

// Keys names the keys in the order in which they were given.
func (s *Sealer) Keys() (out []KeyID) {
	for _, k := range s.keys {
		out = append(out, k.id)
	}
	return out
}

// Use makes the key of that name the one that seals from now on. It reports false when it is none of the given ones; nothing
// changes then.
func (s *Sealer) Use(id KeyID) bool {
	for i, k := range s.keys {
		if k.id == id {
			s.uses.Store(int32(i))
			return true
		}
	}
	return false
}

func (s *Sealer) seals() key { return s.keys[s.uses.Load()] }

// Current reports whether a value was sealed under the key that seals now.
func (s *Sealer) Current(sealed []byte) bool {
	id, ok := KeyOf(sealed)
	return ok && id == s.seals().id
}

// Seal encrypts plain and binds it to owner, a text such as "totps\x00otp_…" that Open must be given again.
func (s *Sealer) Seal(plain []byte, owner string) ([]byte, error) {
	k := s.seals()
	c, err := k.aead.Encrypt(plain, []byte(owner))
	if err != nil {
		return nil, err
	}
	return append(k.id[:], c...), nil
}

// Open decrypts what Seal made for owner. Errors: ErrOpen.
func (s *Sealer) Open(sealed []byte, owner string) ([]byte, error) {
	if len(sealed) < IDSize {
		return nil, ErrOpen
	}
	for _, k := range s.keys {
		if bytes.Equal(k.id[:], sealed[:IDSize]) {
			if plain, err := k.aead.Decrypt(sealed[IDSize:], []byte(owner)); err == nil {
				return plain, nil
			}
		}
	}
	return nil, ErrOpen
}
