package argon

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
)

// Whatever is asked for, in whatever order, over memory that others used, it is what the library computes.
func TestDeriver_IsTheLibrary(t *testing.T) {
	t.Parallel()
	d := New(4 << 10)
	for round := range 2 {
		for _, memory := range []uint32{8, 1023, 1024, 1025, 1031, 2048, 4095, 4096, 4097, 5000} {
			for _, threads := range []uint8{1, 2, 3, 4} {
				time := uint32(1 + round)
				password, salt := fmt.Appendf(nil, "a lamp on a wet jetty %d", memory), fmt.Appendf(nil, "sixteen bytes %d", threads)
				got, want := d.Key(password, salt, time, memory, threads, 32), argon2.IDKey(password, salt, time, memory, threads, 32)
				if !bytes.Equal(got, want) {
					t.Errorf("m=%d t=%d p=%d: %x, want %x", memory, time, threads, got, want)
				}
			}
		}
	}
	for _, length := range []uint32{4, 64, 65, 100} {
		if got, want := d.Key(nil, nil, 1, 1024, 1, length), argon2.IDKey(nil, nil, 1, 1024, 1, length); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x, want %x", length, got, want)
		}
	}
}

func TestDeriver_DerivesAtTheSameTime(t *testing.T) {
	t.Parallel()
	d := New(1 << 10)
	want := argon2.IDKey([]byte("a"), []byte("b"), 1, 1<<10, 1, 32)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 8 {
				if got := d.Key([]byte("a"), []byte("b"), 1, 1<<10, 1, 32); !bytes.Equal(got, want) {
					t.Errorf("%x", got)
				}
			}
		})
	}
	wg.Wait()
}

// Memory that lies free holds nothing of a password, and goes back when it was not used for a while.
func TestDeriver_WipesAndGivesBack(t *testing.T) {
	t.Parallel()
	d := New(2 << 10)
	_ = d.Key([]byte("a lamp on a wet jetty"), []byte("salt"), 1, 1500, 1, 32)
	if len(d.free) != 1 {
		t.Fatalf("%d rooms are kept", len(d.free))
	}
	for i, b := range d.free[0].blocks {
		if b != (block{}) {
			t.Fatalf("block %d was not wiped", i)
		}
	}
	for i, left := range []int{1, 0, 0} {
		if err := d.Trim(); err != nil || len(d.free) != left {
			t.Fatalf("after trim %d: %d rooms, %v", i, len(d.free), err)
		}
	}
	if got, want := d.Key([]byte("a"), []byte("b"), 1, 1500, 1, 32), argon2.IDKey([]byte("a"), []byte("b"), 1, 1500, 1, 32); !bytes.Equal(got, want) {
		t.Errorf("in new memory: %x", got)
	}
}

// What takes more memory than rooms have, or little, is as good.
func TestDeriver_RefusesWhatTheLibraryDoes(t *testing.T) {
	t.Parallel()
	d := New(1 << 10)
	for _, c := range []struct {
		time    uint32
		threads uint8
	}{{0, 1}, {1, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was derived", c)
				}
			}()
			_ = d.Key(nil, nil, c.time, 1<<10, c.threads, 32)
		}()
	}
}

func BenchmarkDeriver(b *testing.B) {
	d := New(19 << 10)
	for b.Loop() {
		_ = d.Key([]byte("yardstick"), []byte("sixteen bytes of"), 2, 19<<10, 1, 32)
	}
}
