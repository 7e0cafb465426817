package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
)

const shortSeed = 7 // of every short run: what fails once fails again

func binaries(t *testing.T) launch.Binaries {
	t.Helper()
	b, err := launch.Built()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// short runs every fault of a store once over one system.
func short(t *testing.T, store string, again map[string]int) {
	t.Helper()
	s, err := openSystem(t.Context(), binaries(t), store, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	r, err := newRun(s, shortSeed)
	if err != nil {
		t.Fatal(err)
	}
	before, err := r.warm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range of(store, false) {
		for range max(1, again[f.name]) {
			rep, err := r.round(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%-22s %5d answered %4d refused %3d unanswered, again after %s", rep.fault, rep.answered, rep.refused, rep.unanswered, rep.recovered.Round(time.Millisecond))
			for _, b := range rep.breaches {
				t.Errorf("%s: %s", f.name, b)
			}
			if len(rep.breaches) > 0 {
				t.FailNow()
			}
		}
	}
	now, err := s.leaks(t.Context(), before)
	if err != nil || len(now) > 0 {
		t.Error(now, err)
	}
	t.Log(before)
	played(t, r.driver.ledger.since(0), often(store))
}

// often are the things that happen even in the few rounds of a store.
func often(store string) []string {
	if store == full {
		return []string{opMachine, opRedeem, opRefresh, opRevoke, opCase, opSignIn}
	}
	return ops
}

// played checks that each thing that a driver does went well at times: rules over what never did say nothing.
func played(t *testing.T, records []record, ops []string) {
	t.Helper()
	well := map[string]int{}
	for _, rec := range records {
		if rec.answered() {
			well[rec.Op]++
		}
	}
	for _, op := range ops {
		if well[op] == 0 {
			t.Errorf("no %s went well: %v", op, well)
		}
	}
	t.Log(well)
}

func TestFaults_SQLite(t *testing.T) {
	t.Parallel()
	short(t, sqlite, map[string]int{"kill": 4})
}

func TestFaults_PostgreSQLAndRedis(t *testing.T) {
	t.Parallel()
	short(t, postgres, nil)
}

func TestFaults_RedisCluster(t *testing.T) {
	t.Parallel()
	short(t, cluster, nil)
}

func TestFaults_FullDisk(t *testing.T) {
	t.Parallel()
	shortWithMounts(t, disk, nil)
}

func TestFaults_FullDiskOfPostgreSQL(t *testing.T) {
	t.Parallel()
	shortWithMounts(t, full, map[string]int{"database's log full": 3})
}

// shortWithMounts runs the test again where it can mount a disk that only it sees.
func shortWithMounts(t *testing.T, store string, again map[string]int) {
	t.Helper()
	if os.Getenv(ownMounts) != "" {
		short(t, store, again)
		return
	}
	binaries(t) // built once
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := withMounts(cmd)
	t.Logf("%s", said.Bytes())
	if err != nil || !bytes.Contains(said.Bytes(), []byte("--- PASS: "+t.Name())) {
		t.Error(err)
	}
}
