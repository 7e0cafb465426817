package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"ellis.example/idp/internal/freeport"
)

// Archiving are settings of a server whose WAL is kept, so that it can be restored to a point in time.
var Archiving = []string{"wal_level=replica", "archive_mode=on", "archive_command=mkdir -p ../archive && cp %p ../archive/%f", "max_wal_senders=4", "fsync=off"}

// BaseBackup copies the running server's data by pg_basebackup and returns where to.
func (s *Server) BaseBackup() (string, error) {
	to := filepath.Join(s.dir, "base")
	program, err := exec.LookPath("pg_basebackup")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_basebackup")
		if len(found) == 0 {
			return "", err
		}
		program = slices.MaxFunc(found, func(a, b string) int { return version(filepath.Dir(a)) - version(filepath.Dir(b)) })
	}
	cmd := exec.Command(program, "-D", to, "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", superuser, "-X", "none", "-c", "fast", "--no-sync", "--no-verify-checksums")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.cred}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	return to, nil
}

// Mark names the present moment, to restore to, and has its WAL archived.
func (s *Server) Mark(ctx context.Context, name string) error {
	return errors.Join(s.Exec(ctx, `SELECT pg_create_restore_point('`+name+`')`), s.Exec(ctx, `SELECT pg_switch_wal()`))
}

// RecoverTo starts another server of a base backup, and has it replay the archive up to a named moment. The caller ends it
// with Stop, before the first.
func (s *Server) RecoverTo(base, name string) (*Server, error) {
	r := &Server{bin: s.bin, cred: s.cred, dir: filepath.Join(s.dir, "recovered")}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, err
	}
	data := filepath.Join(r.dir, "data")
	if err := os.Rename(base, data); err != nil {
		return nil, err
	}
	signal := filepath.Join(data, "recovery.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return nil, err
	}
	for _, name := range []string{r.dir, signal} {
		if s.cred != nil {
			if err := os.Chown(name, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
				return nil, err
			}
		}
	}
	var err error
	if r.Port, err = freeport.Free(); err != nil {
		return nil, err
	}
	r.args = []string{"-D", data, "-k", r.dir, "-p", strconv.Itoa(r.Port), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=off",
		"-c", "max_wal_senders=4", "-c", "restore_command=cp " + filepath.Join(s.dir, "archive") + "/%f %p", "-c", "recovery_target_name=" + name, "-c", "recovery_target_action=promote"}
	return r, r.Run()
}
