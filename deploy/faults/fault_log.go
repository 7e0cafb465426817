package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// logFaults are those of a write-ahead log of SQLite that lost its end, as after a power failure on a disk that lied about a
// flush.
func logFaults() []fault {
	return []fault{
		{name: "log cut short", store: sqlite, ends: true, deaf: true, recover: quick, happen: cutLog},
	}
}

const (
	sector = 512 // bytes: what a disk writes as a whole
	cuts   = 24  // that are looked at each time
)

// cutLog ends the provider, copies its database and log, lets it go on, and looks at the copy with logs of several lengths.
func cutLog(ctx context.Context, r *run, choice *dice) (err error) {
	file := r.sys.file()
	release, from, err := holdLog(ctx, file)
	if err != nil {
		return err
	}
	pause(choice, time.Second, 1500*time.Millisecond) // this is what may be lost
	if err := errors.Join(r.sys.idp.procs[0].End(), ctx.Err()); err != nil {
		return errors.Join(err, release())
	}
	dir := filepath.Join(r.sys.cfg.Dir, "cut")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return errors.Join(err, release())
	}
	for _, name := range []string{file, file + "-wal", filepath.Join(r.sys.cfg.Dir, "checkpoints")} {
		err = errors.Join(err, copyPart(filepath.Join(dir, filepath.Base(name)), name, -1))
	}
	if err := errors.Join(err, release(), r.sys.idp.start(ctx, 0)); err != nil {
		return err
	}
	r.broke = time.Now()
	found, err := r.sys.lookAtCuts(ctx, dir, from, choice)
	r.found = append(r.found, found...)
	return errors.Join(err, os.RemoveAll(dir))
}

// holdLog keeps everything in the log that comes from now on, and returns where in the log that begins.
func holdLog(ctx context.Context, file string) (release func() error, from int64, err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, 0, err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, 0, errors.Join(err, db.Close())
	}
	release = func() error { return errors.Join(c.Close(), db.Close()) }
	for _, statement := range []string{"PRAGMA wal_checkpoint(TRUNCATE)", "BEGIN", "SELECT count(*) FROM audit_writers"} { // a snapshot that is needed
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return nil, 0, errors.Join(err, release())
		}
	}
	st, err := os.Stat(file + "-wal")
	if err != nil {
		return nil, 0, errors.Join(err, release())
	}
	return release, st.Size(), nil
}

// copyPart copies the first bytes of a file; below 0: all of it.
func copyPart(to, from string, bytes int64) error {
	in, err := os.Open(from) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	defer in.Close()                                                       //nolint:errcheck // only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // a path of ours
	if err != nil {
		return err
	}
	if bytes < 0 {
		_, err = io.Copy(out, in)
	} else {
		_, err = io.CopyN(out, in, bytes)
	}
	return errors.Join(err, out.Close())
}

// lookAtCuts opens the copy in dir with its log cut at sectors from a place on, and returns what is wrong with what is left.
func (s *system) lookAtCuts(ctx context.Context, dir string, from int64, choice *dice) (out []breach, err error) {
	log := filepath.Join(dir, "idp.db-wal")
	st, err := os.Stat(log)
	if err != nil {
		return nil, err
	}
	first, last := from/sector+1, st.Size()/sector
	if last-first < cuts {
		return nil, fmt.Errorf("the log holds %d sectors: nothing to cut", last-first)
	}
	signed, err := signedHeads(filepath.Join(dir, "checkpoints"))
	if err != nil {
		return nil, err
	}
	before, short := int64(-1), 0
	for i := range int64(cuts) {
		at := first + (last-first)*i/(cuts-1) // the first and the last are always among them
		if i > 0 && i < cuts-1 {
			at = min(last, at+int64(choice.roll(8)))
		}
		length := at * sector
		if i == cuts-1 { // all of it: the last frame seldom ends with a sector, and may hold what was signed last
			length = st.Size()
		}
		wrong, events, lost, err := s.lookAtCut(ctx, dir, length, signed, i%6 == 0 || i == cuts-1)
		if err != nil {
			return out, fmt.Errorf("cut at %d: %w", length, err)
		}
		if lost {
			short++
		}
		if events < before {
			wrong = append(wrong, fmt.Sprintf("%d events, and %d with less of the log", events, before))
		}
		before = events
		for _, w := range wrong {
			out = append(out, breach{"L2", 0, fmt.Sprintf("with the log cut at %d: %s", length, w)})
		}
	}
	if short == 0 || short == cuts { // the first lacks everything since, and the last nothing
		out = append(out, breach{"L1", 0, fmt.Sprintf("%d of %d cuts lost what was signed", short, cuts)})
	}
	return out, nil
}

// lookAtCut looks at one length of the log. verify: by the provider's own command too. lost says whether a checkpoint knows more than is left.
func (s *system) lookAtCut(ctx context.Context, dir string, at int64, signed map[string]int64, verify bool) (wrong []string, events int64, lost bool, err error) {
	file := filepath.Join(dir, "one.db")
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, 0, false, err
		}
	}
	if err := errors.Join(copyPart(file, filepath.Join(dir, "idp.db"), -1), copyPart(file+"-wal", filepath.Join(dir, "idp.db-wal"), at)); err != nil {
		return nil, 0, false, err
	}
	wrong, heads, err := prefix(ctx, file)
	if err != nil {
		return nil, 0, false, err
	}
	for writer, seq := range signed {
		lost = lost || heads[writer] < seq
	}
	for _, seq := range heads {
		events += seq
	}
	if !verify {
		return wrong, events, lost, nil
	}
	c := s.cfg
	c.Databases.IDP = "sqlite:" + file
	for _, witness := range []struct {
		file  string
		flags bool
	}{{"", false}, {filepath.Join(dir, "checkpoints"), lost}} {
		_, err := c.Command(ctx, c.IDP, "audit", "verify", "--json", "--checkpoint-file="+witness.file)
		if flagged := err != nil; flagged != witness.flags {
			wrong = append(wrong, fmt.Sprintf("verified with the checkpoints %q: flagged %t, lost %t: %v", witness.file, flagged, lost, err))
		}
	}
	return wrong, events, lost, nil
}

// halves are what there is none of in a database that holds whole commits: each query counts one kind.
var halves = map[string]string{ //nolint:gosec // statements, and no secret in them
	"tokens without their event": `SELECT count(*) FROM access_tokens WHERE jti NOT IN (
		SELECT json_extract(CAST(body AS TEXT), '$.jti') FROM audit_events WHERE json_extract(CAST(body AS TEXT), '$.type') IN ('token.issued', 'token.refreshed'))`,
	"refreshed tokens without their successor": `SELECT count(*) FROM refresh_tokens t WHERE length(child) > 0 AND NOT EXISTS (SELECT 1 FROM refresh_tokens c WHERE c.hash = t.child)`,
	"refresh tokens without a family":          `SELECT count(*) FROM refresh_tokens t WHERE NOT EXISTS (SELECT 1 FROM families f WHERE f.id = t.family)`,
	"chains that end before their head":        `SELECT count(*) FROM audit_writers w WHERE head_seq <> (SELECT count(*) FROM audit_events e WHERE e.writer = w.id)`,
}

// prefix opens a database and returns what of it is half, and where each chain ends.
func prefix(ctx context.Context, file string) (wrong []string, heads map[string]int64, err error) {
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		wrong = append(wrong, fmt.Sprintf("not whole: %s %v", said, err))
	}
	for what, query := range halves {
		var n int
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		if n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", n, what))
		}
	}
	heads = map[string]int64{}
	rs, err := db.QueryContext(ctx, "SELECT name, head_seq FROM audit_writers")
	if err != nil {
		return nil, nil, err
	}
	defer rs.Close() //nolint:errcheck // rs.Err tells
	for rs.Next() {
		var name string
		var seq int64
		if err := rs.Scan(&name, &seq); err != nil {
			return nil, nil, err
		}
		heads[name] = seq
	}
	return wrong, heads, rs.Err()
}

// signedHeads reads how far each chain reached by any checkpoint of a file.
func signedHeads(file string) (map[string]int64, error) {
	f, err := os.Open(file) //nolint:gosec // a path of ours
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	heads := map[string]int64{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		part := strings.Split(lines.Text(), " ")
		if len(part) != 3 {
			continue
		}
		if seq, err := strconv.ParseInt(part[1], 10, 64); err == nil {
			heads[part[0]] = max(heads[part[0]], seq)
		}
	}
	return heads, lines.Err()
}
