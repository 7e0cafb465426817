package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"ellis.example/caseservice/internal/paper"
)

const manyCases = 60

// importFile is a file of claimable cases, numbered from from to below to.
func (o *operator) importFile(from, to int) string {
	var lines strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&lines, line+"\n", n, true)
	}
	return o.write(fmt.Sprintf("cases-%d", from), lines.String())
}

// printed are the rows of a table that name a receipt number and a code.
func printed(out string) (rows [][]string) {
	for _, row := range strings.Split(out, "\n") {
		if f := strings.Fields(row); len(f) >= 4 && strings.HasPrefix(f[0], "IOE") {
			rows = append(rows, f)
		}
	}
	return rows
}

// killed runs a command whose output nobody takes, until it has no room for more, and kills it then. It returns what it printed.
func (o *operator) killed(done func() int, args ...string) string {
	o.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	const room, size = 2 << 10, 64 << 10 // pipe(7)
	if _, err := w.Write(bytes.Repeat([]byte("\n"), size-room)); err != nil {
		o.t.Fatal(err)
	}
	cmd := command(o.t.Context(), nil, append(args, "--database", o.database, "--code-key-file", o.key)...)
	cmd.Stdout = w
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		o.t.Fatal(err)
	}
	before, n, since := done(), 0, time.Now()
	for n == 0 || time.Since(since) < 300*time.Millisecond {
		if now := done() - before; now != n {
			n, since = now, time.Now()
		}
		if time.Since(since) > 20*time.Second {
			o.t.Fatal("it does nothing")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		o.t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	out, err := io.ReadAll(r)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(out)
}

// counts demands that the last code that was printed for a case is the one that counts, and that each of n cases has one.
func (o *operator) counts(n int, rows [][]string) {
	o.t.Helper()
	seen := map[string]bool{}
	for i := len(rows) - 1; i >= 0; i-- {
		receipt, code, id := paper.Receipt(rows[i][0]), rows[i][2], rows[i][3]
		parsed, err := paper.ParseClaimCode(code)
		if err != nil {
			o.t.Fatalf("%v: %v", rows[i], err)
		}
		mac := paper.CodeMAC(bytes.Repeat([]byte{0xab}, 32), receipt, parsed)
		if !seen[id] && o.count(fmt.Sprintf(`SELECT COUNT(*) FROM claim_codes WHERE case_id = '%s' AND mac = x'%x' AND expires_at > 1`, id, mac)) != 1 {
			o.t.Errorf("%s: the code that was printed last does not count", receipt)
		}
		seen[id] = true
	}
	if len(seen) != n {
		o.t.Errorf("codes of %d cases were printed, want %d", len(seen), n)
	}
}

// A code that counts and that nobody has seen is a case that nobody can claim, and that nobody looks for.
func TestCodes_NoneCountsThatNobodyHasSeenThoughTheCommandIsKilled(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.ok(nil, "migrate", "up")
	entries := func(act string) func() int {
		return func() int { return o.count("SELECT COUNT(*) FROM ledger WHERE act = '" + act + "'") }
	}
	rows := printed(o.killed(entries("case.import"), "case", "import", o.importFile(0, manyCases)))
	done := entries("case.import")()
	if done == 0 || done >= manyCases || len(rows) < done {
		t.Fatalf("%d cases were imported and %d were printed", done, len(rows))
	}
	r := o.run("case", "import", o.importFile(done, manyCases), "--database", o.database, "--code-key-file", o.key)
	if r.status != exitOK {
		t.Fatalf("%d %s", r.status, r.err)
	}
	o.counts(manyCases, append(rows[:done], printed(r.out)...))

	o.sql("UPDATE claim_codes SET expires_at = 1")
	rows = printed(o.killed(entries("case.code"), "case", "code", "--ended"))
	done = entries("case.code")()
	if done == 0 || done >= manyCases || len(rows) < done {
		t.Fatalf("%d cases have new codes and %d were printed", done, len(rows))
	}
	r = o.run("case", "code", "--ended", "--database", o.database, "--code-key-file", o.key)
	if again := printed(r.out); r.status != exitOK || len(again) != manyCases-done {
		t.Fatalf("%d %s: %d of %d that were left", r.status, r.err, len(again), manyCases-done)
	}
	o.counts(manyCases, append(rows, printed(r.out)...))
}

func TestCodes_NoneIsMadeWhereItCannotBeWritten(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.ok(nil, "case", "import", o.importFile(0, 3), "--code-key-file", o.key)
	o.sql("UPDATE claim_codes SET expires_at = 1")
	for _, args := range [][]string{{"case", "import", o.importFile(3, 6)}, {"case", "code", "--ended"}, {"case", "code", "--ended", "--json"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd := command(t.Context(), nil, append(args, "--database", o.database, "--code-key-file", o.key)...)
		cmd.Stdout, cmd.Stderr = full, &errs
		err = cmd.Run()
		_ = full.Close()
		if err == nil || !strings.Contains(errs.String(), "no space left") || !strings.Contains(errs.String(), "done before it: 0 cases; left: it and 2 more") {
			t.Errorf("%v: %v %s", args, err, errs.String())
		}
		if n := o.count("SELECT COUNT(*) FROM ledger WHERE act = 'case.code' OR act = 'case.import'"); n != 3 {
			t.Errorf("%v: %d entries", args, n)
		}
	}
}

func TestCodes_OneThatWasNotCommittedSaysSo(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	var got struct{ Cases []imported }
	o.ok(&got, "case", "import", o.importFile(0, 4), "--code-key-file", o.key)
	o.ok(nil, "case", "assign", got.Cases[1].ID, "--sub", "sub-ana")
	args := []string{"case", "code", got.Cases[0].Receipt, got.Cases[1].ID, got.Cases[2].Receipt, "--database", o.database, "--code-key-file", o.key}
	r := o.run(append(args, "--json")...)
	var fresh struct {
		Cases []struct {
			imported
			Unconfirmed bool
		}
	}
	if err := json.Unmarshal([]byte(r.out), &fresh); err != nil || r.status != exitFailed || len(fresh.Cases) != 2 || fresh.Cases[0].Unconfirmed || !fresh.Cases[1].Unconfirmed {
		t.Errorf("%d %v %s", r.status, err, r.out)
	}
	if !strings.Contains(r.err, got.Cases[1].Receipt+": the case has an owner (done before it: 1 case; left: it and 1 more)") {
		t.Error(r.err)
	}
	rows := printed(o.run(args...).out)
	if len(rows) != 2 || len(rows[0]) != 4 || len(rows[1]) != 5 || rows[1][4] != "unconfirmed" {
		t.Errorf("%q", rows)
	}
	o.counts(1, rows[:1])
	if r := o.run(append(args, "IOE0000000099")...); r.status != exitFailed || r.out != "" || !strings.Contains(r.err, "IOE0000000099: there is no such case") {
		t.Errorf("with a case that is not there: %d %s %s", r.status, r.out, r.err)
	}
	o.ok(&got, "case", "code", "--ended", "--code-key-file", o.key)
	if got.Cases == nil || len(got.Cases) != 0 {
		t.Errorf("none: %+v", got)
	}
	o.counts(1, rows[:1])
}

// synced is a file that tells what was in it when it was last made to last.
type synced struct {
	*os.File
	safe string
}

func (s *synced) Sync() error {
	text, err := os.ReadFile(s.Name())
	s.safe = string(text)
	return err
}

// What the commit that follows outlives, the code has to.
func TestCodes_OneInAFileIsThereForGoodBeforeItCounts(t *testing.T) {
	t.Parallel()
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	out := &synced{File: f}
	p := notices{out: out}
	err = p.commit(imported{Receipt: "IOE0000000001", ClaimCode: "the-code"}, func() error {
		if !strings.Contains(out.safe, "the-code") {
			t.Errorf("a power cut leaves %q", out.safe)
		}
		return nil
	})
	if err = errors.Join(err, f.Close()); err != nil {
		t.Error(err)
	}
}

// once is an output that takes one piece.
type once struct{ taken bool }

func (o *once) Write(b []byte) (int, error) {
	if o.taken {
		return 0, syscall.EPIPE
	}
	o.taken = true
	return len(b), nil
}

func TestCodes_TheCommandStopsWhereNobodyReadsOn(t *testing.T) {
	t.Parallel()
	p := notices{out: &once{}}
	if err := p.commit(imported{}, func() error { return nil }); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("it goes on: %v", err)
	}
}
