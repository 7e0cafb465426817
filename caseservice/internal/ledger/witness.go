package ledger

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"ellis.example/caseservice/internal/witness"
)

// checkpointKey is the name of the key of checkpoints. It stays when the service gets another address.
const checkpointKey = "ellis-case-ledger"

// NewKey derives the key that signs checkpoints of the ledger from the key of claim codes, which no database holds: who
// can write the database cannot sign.
func NewKey(codeKey []byte) (*witness.Key, error) {
	seed, err := hkdf.Key(sha256.New, codeKey, nil, "ellis ledger checkpoint v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	return witness.NewKey(checkpointKey, seed)
}

// Decode reads what Encode wrote.
func Decode(writer string, seq int64, text []byte) (Stored, error) {
	var b struct {
		At int64 `json:"at"`
		Entry
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return Stored{}, fmt.Errorf("entry %d of writer %s: %w", seq, writer, err)
	}
	return Stored{Writer: writer, Seq: seq, At: time.UnixMicro(b.At).UTC(), Entry: b.Entry}, nil
}
