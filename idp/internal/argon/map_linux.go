package argon

import (
	"syscall"
	"unsafe"
)

const hugePage = 2 << 20

// mapBlocks maps n blocks of zeros, in huge pages where the system has them: with small ones each derivation in fresh memory waits
// for thousands of page faults.
func mapBlocks(n uint32) (mapped []byte, blocks []block, err error) {
	size := int(n) * int(unsafe.Sizeof(block{}))
	mapped, err = syscall.Mmap(-1, 0, size+hugePage, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	skip := -uintptr(unsafe.Pointer(&mapped[0])) & (hugePage - 1) //nolint:gosec // only its lowest bits count
	aligned := mapped[skip:][:size]
	_ = syscall.Madvise(aligned, syscall.MADV_HUGEPAGE)                        // without them it works too
	return mapped, unsafe.Slice((*block)(unsafe.Pointer(&aligned[0])), n), nil //nolint:gosec // as long as aligned, which nobody else has
}

func unmap(mapped []byte) error { return syscall.Munmap(mapped) }
