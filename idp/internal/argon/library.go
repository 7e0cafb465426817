package argon

import (
	_ "unsafe" // for linkname

	"golang.org/x/crypto/blake2b"
)

// As in the library.
const (
	argon2id   = 2
	syncPoints = 4
	blockLen   = 128
)

// block is a KiB of working memory, as the library has it.
type block [blockLen]uint64

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [blake2b.Size + 8]byte

//go:linkname processBlocks golang.org/x/crypto/argon2.processBlocks
func processBlocks(blocks []block, time, memory, threads uint32, mode int)

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(blocks []block, memory, threads, keyLen uint32) []byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)
