package sqldb_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ellis.example/idp/internal/sqldb"
)

func TestPlace_IsWholeOrNotThereAndReplacesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	left := func(want ...string) {
		t.Helper()
		got, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v, want %v (%v)", got, want, err)
		}
	}
	fill := func(text string) func(string) error {
		return func(part string) error {
			if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
				t.Error("the name is there before the file is whole")
			}
			return os.WriteFile(part, []byte(text), 0o600)
		}
	}
	broken := errors.New("disk full")
	if err := sqldb.Place(file, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	left()
	if err := sqldb.Place(file, fill("whole")); err != nil {
		t.Fatal(err)
	}
	left(file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := sqldb.Place(file, fill("another")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it is replaced: %v", err)
	}
	other := filepath.Join(dir, "other.db") // somebody else is quicker
	err := sqldb.Place(other, func(part string) error {
		return errors.Join(os.WriteFile(part, []byte("slow"), 0o600), os.WriteFile(other, []byte("quick"), 0o600))
	})
	if text, _ := os.ReadFile(other); !errors.Is(err, fs.ErrExist) || string(text) != "quick" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "third.db.part"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.Place(filepath.Join(dir, "third.db"), fill("x")); err == nil || errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "third.db.part is there") {
		t.Error(err)
	}
	left(file, other, "third.db.part")
}
