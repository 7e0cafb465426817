//go:build !unix

package servers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

const sigQuit = signalQuit(0)

type signalQuit int

func (signalQuit) String() string { return "quit" }
func (signalQuit) Signal()        {}

// command runs a program of PostgreSQL.
func (p *Postgres) command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	return cmd, nil
}

func ownedByServer(string) error { return nil }

var _ os.Signal = sigQuit
