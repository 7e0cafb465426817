package argon

import (
	"encoding/binary"
	"errors"
	"sync"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/blake2b"
)

// smallest is the memory, in KiB, from which it is worth keeping.
const smallest = 1 << 10

// Deriver derives keys. Its methods may be called at the same time.
type Deriver struct {
	memory uint32 // of a room, in KiB

	mu   sync.Mutex
	free []*room // wiped
}

// room is the working memory of one derivation.
type room struct {
	blocks []block
	mapped []byte
	used   bool // since the last Trim
}

// New returns a Deriver that keeps memory for derivations of up to so many KiB. Those that ask for more get theirs from the heap.
func New(memory uint32) *Deriver { return &Deriver{memory: memory} }

// Key returns what argon2.IDKey does, of which it has parameters and limits; memory is in KiB. It keeps as many rooms as there
// were calls at the same time.
func (d *Deriver) Key(password, salt []byte, time, memory uint32, threads uint8, length uint32) []byte {
	n := blocks(memory, threads)
	if memory < smallest || n > d.memory || time < 1 || threads < 1 {
		return argon2.IDKey(password, salt, time, memory, threads, length)
	}
	r := d.take()
	if r == nil {
		return argon2.IDKey(password, salt, time, memory, threads, length)
	}
	b := r.blocks[:n]
	h0 := initHash(password, salt, nil, nil, time, memory, uint32(threads), length, argon2id)
	first(b, &h0, uint32(threads))
	processBlocks(b, time, n, uint32(threads), argon2id)
	key := extractKey(b, n, uint32(threads), length)
	clear(b) // what a password became does not stay, and the next derivation counts on zeros
	d.put(r)
	return key
}

// Trim gives back the memory that was not used since the last Trim.
func (d *Deriver) Trim() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.free[:0]
	var err error
	for _, r := range d.free {
		if !r.used {
			err = errors.Join(err, unmap(r.mapped))
			continue
		}
		r.used = false
		kept = append(kept, r)
	}
	clear(d.free[len(kept):])
	d.free = kept
	return err
}

// take returns a room of zeros, or nil where the system gives none.
func (d *Deriver) take() *room {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last := len(d.free) - 1; last >= 0 { // the last one: so those that are too many become old
		r := d.free[last]
		d.free = d.free[:last]
		return r
	}
	mapped, blocks, err := mapBlocks(d.memory)
	if err != nil {
		return nil
	}
	return &room{blocks: blocks, mapped: mapped}
}

func (d *Deriver) put(r *room) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.used = true
	d.free = append(d.free, r)
}

// blocks is the number of blocks, of a KiB each, that a derivation fills (RFC 9106 §3.2): m'.
func blocks(memory uint32, threads uint8) uint32 {
	unit := syncPoints * uint32(threads)
	if unit == 0 {
		return 0
	}
	return max(memory/unit, 2) * unit
}

// first fills the first two blocks of each lane (RFC 9106 §3.2, steps 3 and 4).
func first(b []block, h0 *[blake2b.Size + 8]byte, threads uint32) {
	var bytes [blockLen * 8]byte
	lane := uint32(len(b)) / threads
	for l := range threads {
		binary.LittleEndian.PutUint32(h0[blake2b.Size+4:], l)
		for i := range uint32(2) {
			binary.LittleEndian.PutUint32(h0[blake2b.Size:], i)
			blake2bHash(bytes[:], h0[:])
			to := &b[l*lane+i]
			for w := range to {
				to[w] = binary.LittleEndian.Uint64(bytes[w*8:])
			}
		}
	}
}
