package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Hash is the SHA-256 hash of a record.
type Hash = [32]byte

// Head is where a writer's chain ends: the number of its last record and that record's hash. Seq 0 is the empty chain.
type Head struct {
	Writer string
	Seq    int64
	Hash   Hash
}

// Record is one link of a writer's chain. Seq starts at 1.
type Record struct {
	Writer string
	Seq    int64
	Body   []byte
	Hash   Hash
}

const domain = "ellis audit record v1\x00"

// Next returns the record that follows head with the given body, and the new head.
func Next(head Head, body []byte) (Record, Head) {
	seq := head.Seq + 1
	h := link(head.Writer, seq, head.Hash, body)
	return Record{Writer: head.Writer, Seq: seq, Body: body, Hash: h}, Head{Writer: head.Writer, Seq: seq, Hash: h}
}

// Broken names the first record of a chain that is not what its writer wrote.
type Broken struct {
	Writer string
	Seq    int64
	Why    string
}

// Error implements error.
func (b *Broken) Error() string {
	return fmt.Sprintf("audit chain of writer %s is broken at record %d: %s", b.Writer, b.Seq, b.Why)
}

// Follow checks that r comes right after head and returns the new head. Errors: *Broken.
func Follow(head Head, r Record) (Head, error) {
	want := head.Seq + 1
	switch {
	case r.Writer != head.Writer:
		return head, &Broken{head.Writer, want, "record of another writer " + r.Writer}
	case r.Seq != want:
		return head, &Broken{head.Writer, want, fmt.Sprintf("found record %d instead", r.Seq)}
	case link(r.Writer, r.Seq, head.Hash, r.Body) != r.Hash:
		return head, &Broken{head.Writer, want, "hash does not match its content and predecessor"}
	}
	return Head{Writer: r.Writer, Seq: r.Seq, Hash: r.Hash}, nil
}

// link hashes length-prefixed parts, so that no two different records share an input.
func link(writer string, seq int64, prev Hash, body []byte) Hash {
	b := make([]byte, 0, len(domain)+8+len(writer)+8+len(prev)+len(body))
	b = append(b, domain...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(writer)))
	b = append(b, writer...)
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	b = append(b, prev[:]...)
	b = append(b, body...)
	return sha256.Sum256(b)
}
