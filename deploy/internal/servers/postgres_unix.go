//go:build unix

package servers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const sigQuit = syscall.SIGQUIT

// command runs a program of PostgreSQL as somebody who may.
func (p *Postgres) command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	path := filepath.Join(p.bin, name)
	if _, err := os.Stat(path); err != nil { // clients may lie elsewhere
		if path, err = exec.LookPath(name); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // a program that is installed here
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we end it in order
	uid, gid, other, err := serverUser()
	if other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return cmd, err
}

// ownedByServer hands a folder to whom the server runs as.
func ownedByServer(dir string) error {
	uid, gid, other, err := serverUser()
	if err != nil || !other {
		return err
	}
	return os.Chown(dir, int(uid), int(gid))
}

// serverUser is whom PostgreSQL runs as, where that is not us: it refuses to be root.
func serverUser() (uid, gid uint32, other bool, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, false, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		a, err1 := strconv.ParseUint(u.Uid, 10, 32)
		b, err2 := strconv.ParseUint(u.Gid, 10, 32)
		return uint32(a), uint32(b), true, errors.Join(err1, err2)
	}
	return 0, 0, false, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}
