package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRestore_RefusesWhatIsNoCaseBackup(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 2)
	saved := filepath.Join(f.dir, "saved")
	f.ok(nil, "backup", "--to", saved)
	whole, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(whole, []byte("case.import"), []byte("case.imporx"), 1)
	for name, text := range map[string][]byte{"empty": nil, "text": []byte("hello, this is no database at all"), "cut": whole[:len(whole)/2], "edited": edited} {
		bad, file := f.write(name, string(text)), filepath.Join(t.TempDir(), "new.db")
		if r := f.run("restore", "--from", bad, "--database", "sqlite:"+file); r.status != exitFailed {
			t.Errorf("%s: %d %s", name, r.status, r.err)
		}
		if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
			t.Errorf("%s: it leaves %v", name, left)
		}
	}
	for _, args := range [][]string{{"restore"}, {"restore", "--accept", "--from", saved}, {"case", "code"}, {"case", "code", "--ended", "x"}} {
		if r := f.run(append(args, "--database", f.database)...); r.status != exitUsage {
			t.Errorf("%v: %d %s", args, r.status, r.err)
		}
	}
	wal := f.write("left.db-wal", "")
	if r := f.run("restore", "--from", saved, "--database", "sqlite:"+strings.TrimSuffix(wal, "-wal")); r.status != exitFailed || !strings.Contains(r.err, "-wal is there") {
		t.Errorf("%d %s", r.status, r.err)
	}
}

// A backup of an older release is placed; one that knows of no copies would be served unawares.
func TestRestore_AnOlderCaseBackupIsPlacedIfItIsMarked(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 2)
	saved := f.saved("saved")
	f.database = "sqlite:" + saved
	f.sql(`DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	f.database = "sqlite:" + filepath.Join(t.TempDir(), "new.db")
	var b backup
	if f.ok(&b, "restore", "--from", saved); !b.Older || b.Cases != 2 {
		t.Errorf("%+v", b)
	}
	f.database = "sqlite:" + saved
	f.sql(`DROP TABLE copies`)
	if r := f.run("restore", "--from", saved, "--database", "sqlite:"+filepath.Join(t.TempDir(), "new.db")); r.status != exitFailed || !strings.Contains(r.err, "older schema") {
		t.Errorf("%d %s", r.status, r.err)
	}
}
