package witness_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// exported reads a file back.
func exported(t *testing.T, file string) (n int, ends map[string]chain.Head) {
	t.Helper()
	ends, err := witness.ReadExport(file, func(chain.Record) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n, ends
}

func TestExport_GoesOnWhereItEndedHoweverItWasCutOff(t *testing.T) {
	t.Parallel()
	b, _ := written(t)
	b.add("wrt_a", []byte(`{"type":"a","reason":"\u003cb\u003e & \"c\""}`)) // bytes that an encoder would change
	file := filepath.Join(t.TempDir(), "export")
	x := &witness.Exporter{Log: b, File: file}
	if n, err := x.Once(t.Context()); err != nil || n != 3*rows+1 {
		t.Fatal(n, err)
	}
	if n, err := x.Once(t.Context()); err != nil || n != 0 {
		t.Fatal("again:", n, err)
	}
	full, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{0, 1, len(full) / 3, len(full) - 1} {
		if err := os.WriteFile(file, full[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, who := range []*witness.Exporter{x, {Log: b, File: file}} { // the same process, and another
			if _, err := who.Once(t.Context()); err != nil {
				t.Fatal(cut, err)
			}
		}
		if n, ends := exported(t, file); n != 3*rows+1 || ends["wrt_a"] != b.heads["wrt_a"] || ends["wrt_c"] != b.heads["wrt_c"] {
			t.Errorf("cut at %d: %d records", cut, n)
		}
	}
}

func TestExport_TakesNothingThatDoesNotFollow(t *testing.T) {
	t.Parallel()
	b, _ := written(t)
	file := filepath.Join(t.TempDir(), "export")
	if _, err := (&witness.Exporter{Log: b, File: file}).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	full, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b.add("wrt_b", []byte(`{"type":"late"}`))
	b.rows["wrt_b"][rows].Body = []byte(`{"type":"other"}`)
	if _, err := (&witness.Exporter{Log: b, File: file}).Once(t.Context()); err == nil || !strings.Contains(err.Error(), "wrt_b") {
		t.Errorf("an edited record: %v", err)
	}
	for name, text := range map[string][]byte{
		"edited": bytes.Replace(full, []byte("acc_wrt_a7"), []byte("acc_wrt_a8"), 1), "cut out": append(bytes.Clone(full[:bytes.IndexByte(full, '\n')+1]), full[len(full)/2:]...),
		"no JSON": append([]byte("hello\n"), full...),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.ReadExport(file, func(chain.Record) error { return nil }); err == nil {
			t.Errorf("%s: it reads", name)
		}
	}
}

func TestExport_TwoProcessesShareAFile(t *testing.T) {
	t.Parallel()
	b, _ := written(t)
	file := filepath.Join(t.TempDir(), "export")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := (&witness.Exporter{Log: b, File: file}).Once(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, _ := exported(t, file); n != 3*rows {
		t.Errorf("%d records", n)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	line, err := os.ReadFile(file)
	if err != nil || !json.Valid(line[:bytes.IndexByte(line, '\n')]) {
		t.Error("a line is no JSON:", err)
	}
}

// Whoever names the wrong file must not lose it: a key file is one line without an end.
func TestExportAndCheckpoints_LeaveAFileAloneThatIsSomethingElse(t *testing.T) {
	t.Parallel()
	b, _ := written(t)
	k := key(t)
	for name, write := range map[string]func(file string) error{
		"export": func(file string) error {
			_, err := (&witness.Exporter{Log: b, File: file}).Once(t.Context())
			return err
		},
		"checkpoint": func(file string) error { return witness.Append(file, point(t, k, 1)) },
	} {
		for _, text := range []string{"9f86d081884c7d659a2feaa0c55ad015", "{\"kty\":\"EC\"}", "{\"writer\":1", "9f86d081\n"} {
			file := filepath.Join(t.TempDir(), "kek")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := write(file); err == nil {
				t.Errorf("%s: %q is taken for its own", name, text)
			}
			if left, err := os.ReadFile(file); err != nil || string(left) != text {
				t.Errorf("%s: %q became %.40q (%v)", name, text, left, err)
			}
		}
	}
}
