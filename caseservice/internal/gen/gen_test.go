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
	for module, leaves := range map[string][]string{"caseservice": gen.Leaves, "deploy": gen.Tools} {
		copies, err := gen.Copies(original, module, leaves)
		if err != nil || len(copies) < len(leaves) {
			t.Fatalf("%d files, %v", len(copies), err)
		}
		for rel, want := range copies {
			got, err := os.ReadFile(filepath.Join("../../..", module, "internal", rel))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of %s differs from its original (run go generate ./internal/gen): %v", rel, module, err)
			}
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
	if err := gen.Write(dir, gen.Leaves, map[string][]byte{"clock/clock.go": []byte("package clock\n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("stale copy survived: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "clock", "clock.go")); err != nil {
		t.Error(err)
	}
}
