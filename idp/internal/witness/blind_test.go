//go:build unix

package witness_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"ellis.example/idp/internal/witness"
)

// A process whose file fails still has what it signed itself to compare with.
func TestCheckpointer_SeesASetBackWithoutItsFile(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(t *testing.T, file string) (mend func()){
		"it cannot be opened": func(t *testing.T, file string) func() {
			aside := file + ".aside"
			if err := errors.Join(os.Rename(file, aside), os.Mkdir(file, 0o700)); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := errors.Join(os.Remove(file), os.Rename(aside, file)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"another process is at it": held,
		"it cannot be read": func(t *testing.T, file string) func() {
			was, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, file, [][]byte{[]byte("no checkpoint\n")})
			return func() {
				if err := os.WriteFile(file, was, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, c := crowd(t, 3)
				back := 0
				c.SetBack = func() { back++ }
				sign(t, b, c, 1)
				was := b.clone()
				sign(t, b, c, 1)
				mend := fail(t, c.File)
				if err := c.Once(t.Context()); err == nil || errors.Is(err, witness.ErrSetBack) || back != 0 {
					t.Fatalf("nothing is lost: %v, said %d times", err, back)
				}
				c.Log = was
				if err := c.Once(t.Context()); !errors.Is(err, witness.ErrSetBack) || back != 1 {
					t.Errorf("set back: %v, said %d times", err, back)
				}
				mend()
				c.Log = b
				sign(t, b, c, 1)
				covers(t, b, c)
			})
		})
	}
}
