package witness_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// differs compares the export of a house with its database, and returns the first difference of each writer.
func (h *house) differs() (out []string) {
	h.Helper()
	c, err := witness.Compare(h.Context(), h, h.lines, h.accepted, tell)
	h.must(err)
	for _, b := range c.Differs {
		out = append(out, fmt.Sprint(b.Writer, " ", b.Seq))
	}
	return out
}

// Each record of an export is compared with the database's, and the first that differs is named, also where either was made whole
// again behind it.
func TestCompare_NamesTheFirstRecordThatDiffers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const many = 3000
	for range many {
		h.record("srv_a", said{})
	}
	h.record("srv_b", said{})
	h.exported()
	wants := func(what string, want ...string) {
		t.Helper()
		if got := h.differs(); strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	wants("the same")
	whole := h.clone()
	h.record("srv_a", said{})
	h.record("srv_c", said{})
	wants("the database went on")
	for _, seq := range []int{1, 2, 1023, 1024, 1025, 2048, many - 1, many} {
		h.book = whole.clone()
		h.rows["srv_a"][seq-1].Body = []byte(`{"at":"2026-11-02T09:00:01Z"}`)
		h.rehash("srv_a", seq-1)
		r, err := witness.Verify(t.Context(), h, nil)
		if h.must(err); !r.Whole() {
			t.Fatal("it was made whole")
		}
		wants("changed", fmt.Sprint("srv_a ", seq))
		h.record("srv_a", said{})
		wants("changed, and gone on", fmt.Sprint("srv_a ", seq))
	}
	h.book = whole.clone()
	for _, w := range []string{"srv_a", "srv_b"} {
		n := len(h.rows[w]) - 1
		h.rows[w] = h.rows[w][:n]
		h.heads[w] = chain.Head{Writer: w, Seq: int64(n)}
		if n > 0 {
			h.heads[w] = chain.Head{Writer: w, Seq: int64(n), Hash: h.rows[w][n-1].Hash}
		}
	}
	wants("lost", fmt.Sprint("srv_a ", many), "srv_b 1")
}

// What a restore threw away is missing in no database that knows of the restore, and in every one that does not.
func TestCompare_WhatAnAcceptanceThrewAwayIsNoDifference(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.writes("srv_a")
	b, none := h.copied()
	h.writes("srv_a", "srv_b")
	h.restore(b, none)
	if got := h.differs(); len(got) != 2 {
		t.Errorf("not accepted: %v", got)
	}
	h.accept("cmd_1", true, true)
	if got := h.differs(); len(got) != 0 {
		t.Errorf("accepted, and that is not exported: %v", got)
	}
	h.exported()
	h.writes("srv_c")
	if got := h.differs(); len(got) != 0 {
		t.Errorf("accepted, and gone on: %v", got)
	}
	heads, _ := h.Heads(t.Context())
	delete(h.rows, "srv_c")
	delete(h.heads, "srv_c")
	if got := h.differs(); len(got) != 1 || got[0] != "srv_c 1" || len(heads) != 3 {
		t.Errorf("lost since: %v", got)
	}
}

// A line is read as it was written, and as JSON where it was written otherwise.
func TestReadExport_ReadsALineHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.record("srv_a", said{})
	h.exported()
	text, err := os.ReadFile(h.lines)
	h.must(err)
	file := filepath.Join(t.TempDir(), "lines")
	for what, line := range map[string]string{
		"as it was": string(text), "with spaces": strings.Replace(string(text), `","seq":`, `", "seq": `, 1), "with an escape": strings.Replace(string(text), "srv_a", `srv_\u0061`, 1),
	} {
		h.must(os.WriteFile(file, []byte(line), 0o600))
		if ends, err := witness.ReadExport(file, func(chain.Record) error { return nil }); err != nil || ends["srv_a"] != h.heads["srv_a"] {
			t.Errorf("%s: %v, %v", what, ends, err)
		}
	}
	for what, line := range map[string]string{
		"another writer": strings.Replace(string(text), "srv_a", "srv_b", 1), "no number": strings.Replace(string(text), `"seq":1`, `"seq":x`, 1),
		"cut": string(text[:len(text)-2]) + "\n", "another event": strings.Replace(string(text), `"event":{`, `"event":{"x":1,`, 1),
	} {
		h.must(os.WriteFile(file, []byte(line), 0o600))
		if _, err := witness.ReadExport(file, func(chain.Record) error { return nil }); err == nil {
			t.Errorf("%s is read", what)
		}
	}
}

// An export is compared as fast as a record is verified: 200,000 records a second, where nothing slows the machine down.
func BenchmarkCompare(b *testing.B) {
	bk := book{map[string][]chain.Record{}, map[string]chain.Head{}}
	body := []byte(`{"at":"2026-11-28T09:00:00Z","type":"token.issued","outcome":"allowed","detail":{"text":"` + strings.Repeat("x", 300) + `"}}`)
	const records = 100_000
	for i := range records {
		bk.add(fmt.Sprint("srv_", i%4), body)
	}
	file := filepath.Join(b.TempDir(), "lines")
	if _, err := (&witness.Exporter{Log: bk, File: file}).Once(b.Context()); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for b.Loop() {
		c, err := witness.Compare(b.Context(), bk, file, nil, tell)
		if err != nil || len(c.Differs) > 0 {
			b.Fatal(c.Differs, err)
		}
	}
	b.ReportMetric(float64(b.N*records)/time.Since(began).Seconds(), "records/s")
}
