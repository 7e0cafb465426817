//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// command runs a program of PostgreSQL as somebody who may.
func (p *postgres) command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...) //nolint:gosec // a program that is installed here
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it in order
	u, err := serverUser()
	if err != nil || u == nil {
		return cmd, err
	}
	uid, gid, err := ids(u.Uid, u.Gid)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return cmd, err
}

// ownedByServer hands a folder to whom the server runs as.
func ownedByServer(dir string) error {
	u, err := serverUser()
	if err != nil || u == nil {
		return err
	}
	uid, gid, err := ids(u.Uid, u.Gid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

func ids(u, g string) (uid, gid int, err error) {
	uid, err1 := strconv.Atoi(u)
	gid, err2 := strconv.Atoi(g)
	return uid, gid, errors.Join(err1, err2)
}
