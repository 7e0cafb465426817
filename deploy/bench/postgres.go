package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ellis.example/deploy/internal/launch"
)

// postgres is a PostgreSQL of our own, with the durability that it has by default.
type postgres struct {
	dir, bin string
	port     int
	cmd      *exec.Cmd
	gone     chan struct{}
}

const (
	superuser    = "ellis_bench"
	pollDatabase = 50 * time.Millisecond
)

// startPostgres makes a cluster in a temporary folder, with one database for each service. delay is added to each flush of
// the log, as a slower disk would.
func startPostgres(ctx context.Context, delay time.Duration) (_ *postgres, err error) {
	p := &postgres{gone: make(chan struct{})}
	if p.bin, err = postgresPrograms(); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", "ellis-bench-pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	if err := ownedByServer(p.dir); err != nil {
		return nil, err
	}
	data := filepath.Join(p.dir, "data")
	if err := p.run(ctx, "initdb", "-D", data, "-A", "trust", "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return nil, err
	}
	var ports launch.Ports
	p.port, err = ports.Free()
	ports.Release()
	if err != nil {
		return nil, err
	}
	args := []string{"-D", data, "-k", p.dir, "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=256MB"}
	if delay > 0 {
		args = append(args, "-c", "commit_siblings=0", "-c", fmt.Sprintf("commit_delay=%d", delay.Microseconds()))
	}
	cmd, err := p.command(context.Background(), "postgres", args...)
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.cmd = cmd
	go func() { _ = cmd.Wait(); close(p.gone) }()
	return p, p.create(ctx, launch.IDP, launch.CaseService)
}

// postgresPrograms is the folder of the newest server that is installed with its tools; one in the PATH comes first.
func postgresPrograms() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // a good pattern
	release := func(bin string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // what is no number is none
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return release(b) - release(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = slices.Insert(dirs, 0, filepath.Dir(path))
	}
	for _, dir := range dirs {
		missing := func(name string) bool { _, err := os.Stat(filepath.Join(dir, name)); return err != nil }
		if !slices.ContainsFunc([]string{"initdb", "postgres", "createdb"}, missing) {
			return dir, nil
		}
	}
	return "", errors.New("PostgreSQL is not installed (Debian: apt install postgresql)")
}

// serverUser is whom PostgreSQL runs as: it refuses to be root. nil: whoever we are.
func serverUser() (*user.User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return u, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// create makes databases, as soon as the server answers.
func (p *postgres) create(ctx context.Context, names ...string) error {
	ctx, done := context.WithTimeout(ctx, startTime)
	defer done()
	for _, name := range names {
		for {
			err := p.run(ctx, "createdb", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", superuser, name)
			if err == nil {
				break
			}
			var none *exec.Error
			if ctx.Err() != nil || errors.As(err, &none) {
				return err
			}
			time.Sleep(pollDatabase)
		}
	}
	return nil
}

func (p *postgres) run(ctx context.Context, name string, args ...string) error {
	cmd, err := p.command(ctx, name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (p *postgres) pid() int { return p.cmd.Process.Pid }

// dsn names a database.
func (p *postgres) dsn(name string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, p.port, name)
}

// stop ends the server and removes its data.
func (p *postgres) stop() (err error) {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(os.Interrupt) // fast shutdown
		select {
		case <-p.gone:
		case <-time.After(stopPostgre):
			err = errors.Join(errors.New("it did not end"), p.cmd.Process.Kill())
		}
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
