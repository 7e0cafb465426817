package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ellis.example/deploy/internal/freeport"
)

const (
	superuser = "ellis"
	patience  = time.Minute // for a start or an end
	poll      = 20 * time.Millisecond
)

// Postgres is a PostgreSQL cluster of our own.
type Postgres struct {
	Port int

	bin, home, dir string // home: where dir is made
	settings       []string
	cmd            *exec.Cmd
	gone           chan struct{}
}

// StartPostgres makes a cluster and starts it. settings are name=value.
func StartPostgres(ctx context.Context, settings ...string) (*Postgres, error) {
	return startPostgresIn(ctx, "", settings)
}

func startPostgresIn(ctx context.Context, folder string, settings []string) (*Postgres, error) {
	p, err := newPostgres(folder, settings)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", p.data(), "-A", "trust", "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync"}
	if folder != "" {
		args = append(args, "--wal-segsize=1")
		p.settings = append(p.settings, "min_wal_size=2MB", "max_wal_size=8MB")
	}
	if err = p.run(ctx, "initdb", args...); err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func newPostgres(folder string, settings []string) (p *Postgres, err error) {
	p = &Postgres{home: folder, settings: settings}
	if p.bin, err = postgresPrograms(); err != nil {
		return nil, err
	}
	if p.Port, err = freeport.Free(); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp(folder, "ellis-pg-"); err != nil {
		return nil, err
	}
	if err := ownedByServer(p.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

// standbyName is what synchronous_standby_names of a primary may ask for.
const standbyName = "standby"

// Standby makes another cluster that follows p by streaming replication, under the name "standby": what
// synchronous_standby_names of p may ask for.
func (p *Postgres) Standby(ctx context.Context) (*Postgres, error) {
	s, err := newPostgres(p.home, p.settings)
	if err != nil {
		return nil, err
	}
	if err := s.follow(ctx, p); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// follow begins anew as a standby of primary. What it had goes.
func (p *Postgres) follow(ctx context.Context, primary *Postgres) error {
	if err := errors.Join(p.Kill(), os.RemoveAll(p.data())); err != nil {
		return err
	}
	conn := fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s", primary.Port, superuser, standbyName)
	if err := p.run(ctx, "pg_basebackup", "-D", p.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", conn); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Promote ends the following and makes the standby writable.
func (p *Postgres) Promote(ctx context.Context) error {
	return p.run(ctx, "pg_ctl", "promote", "-w", "-D", p.data())
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// Start starts the server, again after Kill, on the same port and data, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	args := []string{"-D", p.data(), "-k", p.dir, "-p", strconv.Itoa(p.Port), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	cmd, err := p.command(context.Background(), "postgres", args...) // it outlives the start
	if err != nil {
		return err
	}
	said, gone := &bytes.Buffer{}, make(chan struct{})
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.gone = cmd, gone
	go func() { _ = cmd.Wait(); close(gone) }()
	for end := time.Now().Add(patience); ; time.Sleep(poll) { //nolint:forbidigo // a real server takes real time
		if err = p.run(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port)); err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("PostgreSQL ended: %s", said)
		default:
		}
		if time.Now().After(end) || ctx.Err() != nil { //nolint:forbidigo // as above
			return errors.Join(fmt.Errorf("PostgreSQL does not answer: %w", err), ctx.Err())
		}
	}
}

// Create makes databases.
func (p *Postgres) Create(ctx context.Context, names ...string) error {
	for _, name := range names {
		if _, err := p.SQL(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
			return err
		}
	}
	return nil
}

// SQL runs a statement in a database and returns what it printed, a line a row.
func (p *Postgres) SQL(ctx context.Context, database, statement string) (string, error) {
	cmd, err := p.command(ctx, "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", p.DSN(database), "-c", statement)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, out)
	}
	return string(bytes.TrimSpace(out)), nil
}

// DSN names a database of the server.
func (p *Postgres) DSN(name string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, p.Port, name)
}

// Pid is the process of the server; its children are those of the connections.
func (p *Postgres) Pid() int { return p.cmd.Process.Pid }

// Ended reports whether the server has ended by itself, as it does where its log finds no room.
func (p *Postgres) Ended() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// Kill ends every process of the server at once, without a checkpoint, as a crash would.
func (p *Postgres) Kill() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(sigQuit) // it may be gone
	select {
	case <-p.gone:
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("PostgreSQL did not end"), p.cmd.Process.Kill())
	}
}

// Stop ends the server and removes its data.
func (p *Postgres) Stop() error { return errors.Join(p.Kill(), os.RemoveAll(p.dir)) }

func (p *Postgres) run(ctx context.Context, name string, args ...string) error {
	cmd, err := p.command(ctx, name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// postgresPrograms returns the folder of the newest server that is installed.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(dirs) == 0 {
		return "", errors.New("PostgreSQL is not installed (Debian: apt install postgresql)")
	}
	release := func(bin string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // what is no number is none
		return n
	}
	return slices.MaxFunc(dirs, func(a, b string) int { return release(a) - release(b) }), nil
}
