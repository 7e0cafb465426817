package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// The calls of a traced provider: a write to the write-ahead log, a flush of it, and the first line of an answer.
var (
	unfinished = regexp.MustCompile(`^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	whole      = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += +(-?\d+)`)
)

// durability reads what strace wrote, in the order in which calls ended, and returns how many answers of success left, and what
// was wrong with one. It holds for a client that sends one request after another, each of which writes: since the answer before,
// the log was written to and then flushed.
func durability(trace io.Reader) (answers int, err error) {
	begun := map[string]string{} // thread → call that has not ended
	flushing := map[string]bool{}
	written, flushed := false, false
	leaves := func() error { // an answer begins to leave
		answers++
		if !written || !flushed {
			return fmt.Errorf("answer %d left with the log written: %t, flushed: %t", answers, written, flushed)
		}
		written, flushed = false, false
		return nil
	}
	lines := bufio.NewScanner(trace)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := unfinished.FindStringSubmatch(line); m != nil {
			begun[m[1]] = m[2] + "(" + m[3]
			if success(m[2], m[3]) { // it may arrive before this call returns: it counts now
				begun[m[1]] = "("
				if err := leaves(); err != nil {
					return answers, err
				}
			}
			flushing[m[1]] = written // a flush covers what was written before it began
			continue
		}
		covers := written
		if m := resumed.FindStringSubmatch(line); m != nil {
			line = m[1] + " " + begun[m[1]] + m[2]
			covers = flushing[m[1]]
		}
		m := whole.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[4], "-") {
			continue
		}
		switch call, args := m[2], m[3]; {
		case strings.HasPrefix(call, "pwrite") && strings.Contains(args, "-wal>"):
			written = true
		case (call == "fsync" || call == "fdatasync") && strings.Contains(args, "-wal>") && covers:
			flushed = true
		case success(call, args):
			if err := leaves(); err != nil {
				return answers, err
			}
		}
	}
	return answers, lines.Err()
}

// success reports whether a call is the beginning of an answer of success.
func success(call, args string) bool {
	return call == "write" && strings.Contains(args, `"HTTP/1.1 2`) && strings.Contains(args, "TCP")
}

func TestDurability_NoSuccessLeavesBeforeItIsOnDisk(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is not installed (Debian: apt install strace)")
	}
	dir := t.TempDir()
	s, err := openSystem(t.Context(), binaries(t), sqlite, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	s.cases.killAll() // its polls are answered without a write
	if err := s.idp.procs[0].End(); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(dir, "trace")
	plain := s.cfg.Binaries.IDP
	spec := s.idp.specs[0]
	spec.Path, spec.Args = strace, append([]string{"-D", "-f", "--seccomp-bpf", "-yy", "-s", "16", "-o", trace, "-e", "trace=pwrite64,write,fsync,fdatasync", plain}, spec.Args...)
	traced, err := s.group.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(t.Context(), startTime)
	defer done()
	if err := traced.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(trace, 0); err != nil { // the start is not about requests
		t.Fatal(err)
	}
	const requests = 500
	c := &http.Client{Timeout: answerTime}
	for range requests {
		a, err := agent.Send(ctx, c, http.MethodPost, s.issuer()+"/token", seed.ForMachine(), "Authorization", s.clients.Basic(seed.Machine))
		if err != nil || a.Status != http.StatusOK {
			t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
	}
	if err := traced.End(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	answers, err := durability(f)
	if err != nil || answers < requests {
		t.Errorf("%d answers of %d: %v", answers, requests, err)
	}
}

func TestDurability_FindsAnAnswerThatLeavesTooEarly(t *testing.T) {
	t.Parallel()
	const (
		write  = "7 pwrite64(9</d/idp.db-wal>, \"x\", 4096, 32) = 4096\n"
		sync   = "7 fdatasync(9</d/idp.db-wal>) = 0\n"
		answer = "8 write(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"HTTP/1.1 200 OK\\r\"..., 900) = 900\n"
	)
	for name, c := range map[string]struct {
		trace string
		fine  bool
	}{
		"in order":                {write + sync + answer + write + sync + answer, true},
		"never flushed":           {write + answer, false},
		"nothing written":         {sync + answer, false},
		"flushed before":          {sync + write + answer, false},
		"answered while it lasts": {write + "7 fdatasync(9</d/idp.db-wal> <unfinished ...>\n" + answer + "7 <... fdatasync resumed>) = 0\n", false},
		"ended just before":       {write + "7 fdatasync(9</d/idp.db-wal> <unfinished ...>\n7 <... fdatasync resumed>) = 0\n" + answer, true},
		"began before the write":  {"7 fdatasync(9</d/idp.db-wal> <unfinished ...>\n9 pwrite64(9</d/idp.db-wal>, \"x\", 1, 3) = 1\n7 <... fdatasync resumed>) = 0\n" + answer, false},
		"the flush failed":        {write + "7 fdatasync(9</d/idp.db-wal>) = -1 EIO (Input/output error)\n" + answer, false},
		"that of the time before": {write + sync + answer + answer, false},
		"the next overtakes its end": {write + sync + "8 write(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"HTTP/1.1 200 OK\\r\"..., 900 <unfinished ...>\n" +
			write + sync + "8 <... write resumed>) = 900\n" + answer, true},
		"unfinished and too early": {write + "8 write(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"HTTP/1.1 200 OK\\r\"..., 900 <unfinished ...>\n" + sync + "8 <... write resumed>) = 900\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := durability(strings.NewReader(c.trace)); (err == nil) != c.fine {
				t.Errorf("%v", err)
			}
		})
	}
}
