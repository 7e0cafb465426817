//go:build !linux

package argon

// mapBlocks takes n blocks from the heap.
func mapBlocks(n uint32) (mapped []byte, blocks []block, err error) {
	return nil, make([]block, n), nil
}

func unmap([]byte) error { return nil }
