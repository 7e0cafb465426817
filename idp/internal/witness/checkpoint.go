package witness

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ellis.example/idp/internal/chain"
)

// Checkpoint says where every chain stood at one moment. Its text is a signed note (C2SP signed-note): whoever holds one
// from outside the database can tell whether what it covers is still there.
type Checkpoint struct {
	Origin string // issuer
	At     time.Time
	// Heads are those of all chains. In a list of all checkpoints of a file, they are those that moved since the one before.
	Heads []chain.Head
	// Epoch is set in the checkpoint of a restore that was accepted, and in no other: what earlier ones know beyond these
	// heads was lost by it.
	Epoch int64
}

// Key signs and verifies checkpoints.
type Key struct {
	signer   note.Signer
	verifier note.Verifier
}

// algEd25519 is the note signature type of Ed25519.
const algEd25519 = 1

// NewKey derives the key from a 256-bit secret. name is the issuer's host.
func NewKey(name string, seed []byte) (*Key, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("a checkpoint key needs 256 bits")
	}
	key := ed25519.NewKeyFromSeed(seed)
	public := append([]byte{algEd25519}, key.Public().(ed25519.PublicKey)...)
	hash := sha256.Sum256(append([]byte(name+"\n"), public...))
	id := binary.BigEndian.Uint32(hash[:4])
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, seed...))))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(public)))
	if err != nil {
		return nil, err
	}
	return &Key{signer, verifier}, nil
}

// Lost counts the records that a checkpoint knows and the heads of a log do not.
func (c Checkpoint) Lost(heads []chain.Head) (n int64) {
	have := stand(heads)
	for _, h := range c.Heads {
		n += max(0, h.Seq-have[h.Writer].Seq)
	}
	return n
}

// Behind says where the log lacks what the checkpoint signed, or "": then the database is older, as a restored copy is, or
// went another way since. Only what was signed is looked at, and only where a chain has gone on since is its record asked for;
// Verify follows the whole.
func (c Checkpoint) Behind(ctx context.Context, log Log) (string, error) {
	heads, err := log.Heads(ctx)
	if err != nil {
		return "", err
	}
	have := stand(heads)
	for _, h := range c.Heads {
		at := have[h.Writer]
		if at.Seq < h.Seq {
			return fmt.Sprintf("writer %s: checkpoint at %d, database at %d", h.Writer, h.Seq, at.Seq), nil
		}
		same := at == h
		if at.Seq > h.Seq {
			if same, err = holds(ctx, log, h); err != nil {
				return "", err
			}
		}
		if !same {
			return fmt.Sprintf("writer %s: record %d is not the one that was signed", h.Writer, h.Seq), nil
		}
	}
	return "", nil
}

var errSeen = errors.New("seen")

// holds reports whether a writer's record of a number is there and is the one that was signed.
func holds(ctx context.Context, log Log, h chain.Head) (same bool, err error) {
	err = log.Walk(ctx, h.Writer, h.Seq-1, func(r chain.Record) error {
		same = r.Seq == h.Seq && r.Hash == h.Hash
		return errSeen // one is enough
	})
	if errors.Is(err, errSeen) {
		err = nil
	}
	return same, err
}
