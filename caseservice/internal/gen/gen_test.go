package gen_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ellis.example/caseservice/internal/gen"
)

const original = "../../../idp/internal"

func TestLeaves_AreWhatTheOriginalsAre(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(original); err != nil {
		t.Logf("the identity provider's module is not beside this one: nothing to compare with")
		return
	}
	copies, err := gen.Copies(original)
	if err != nil || len(copies) < len(gen.Leaves) {
		t.Fatalf("%d files, %v", len(copies), err)
	}
	for rel, want := range copies {
		got, err := os.ReadFile(filepath.Join("..", rel))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from its original (run go generate ./internal/gen): %v", rel, err)
		}
	}
}

func TestWrite_RemovesWhatHasNoOriginal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, "clock", "old.go")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("package clock\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := gen.Write(dir, map[string][]byte{"clock/clock.go": []byte("package clock\n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("stale copy survived: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "clock", "clock.go")); err != nil {
		t.Error(err)
	}
}
