package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"

	"ellis.example/idp/internal/freeport"
)

// Server is a running PostgreSQL.
type Server struct {
	Port int
	dir  string
	cmd  *exec.Cmd
	bin  string
	cred *syscall.Credential
	args []string
	done chan struct{}
}

const (
	superuser = "ellis_test"
	patience  = 30 * time.Second
)

// programs returns the folder of the newest server that is installed.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(dirs) == 0 {
		return "", errors.New("PostgreSQL is not installed (Debian: apt install postgresql)")
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	return dirs[0], nil
}

func version(bin string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return n
}

// unprivileged returns whom to be: the server refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// Start makes a cluster in a temporary folder and starts it. settings are given as name=value. The caller ends it with Stop.
func Start(settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.cred, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "ellis-pg-"); err != nil {
		return nil, err
	}
	if s.cred != nil {
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, err
		}
	}
	init := s.command("initdb", "-D", filepath.Join(s.dir, "data"), "-A", "trust", "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, out), os.RemoveAll(s.dir))
	}
	if s.Port, err = freeport.Free(); err != nil {
		return nil, err
	}
	s.args = []string{"-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-p", strconv.Itoa(s.Port), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"}
	for _, v := range settings {
		s.args = append(s.args, "-c", v)
	}
	return s, s.Run()
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	return cmd
}

// Run starts the server again after Stop or Kill, on the same port and data, and waits until it takes writes.
func (s *Server) Run() error {
	var out bytes.Buffer
	s.cmd = s.command("postgres", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	s.done = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	db, err := sql.Open("pgx", s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	for end := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		recovers := false // one that does answers already, and takes no writes
		err = db.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&recovers)
		cancel()
		if err == nil && !recovers {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("postgres ended: %s", out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("postgres is not ready (recovers: %v): %w: %s", recovers, errors.Join(err, os.ErrDeadlineExceeded), out.String()), s.Kill())
		}
	}
}

// DSN names a database of the server.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, s.Port, database)
}

// Signal sends the server a signal.
func (s *Server) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// Kill ends the server as a crash would: every process of it at once.
func (s *Server) Kill() error {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // immediate shutdown: no checkpoint, recovery at the next start
	return s.wait()
}

// Halt ends the server in order and keeps its data.
func (s *Server) Halt() error {
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	return s.wait()
}

func (s *Server) wait() error {
	select {
	case <-s.done:
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("postgres did not end"), s.cmd.Process.Kill())
	}
}

// Stop ends the server and removes its data.
func (s *Server) Stop() error { return errors.Join(s.Kill(), os.RemoveAll(s.dir)) }

var shared struct {
	main atomic.Bool // somebody ends what is started
	once sync.Once
	s    *Server
	err  error
	n    atomic.Int64
}

// Main runs the tests of a package and ends the server that they shared, if any. TestMain calls it.
func Main(m *testing.M) int {
	shared.main.Store(true)
	code := m.Run()
	if shared.s != nil {
		if err := shared.s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			return 1
		}
	}
	return code
}

// Database returns the DSN of a fresh, empty database of a server that the tests of the package share. Durability is
// switched off there; tests of crashes start a server of their own.
func Database(t testing.TB) string { t.Helper(); return create(t, "") }

// Copy is Database with what a database of that server holds, to which nobody may be connected.
func Copy(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return create(t, " TEMPLATE "+strings.TrimPrefix(u.Path, "/"))
}

// create makes a database of the shared server. like is the rest of the statement.
func create(t testing.TB, like string) string {
	t.Helper()
	if !shared.main.Load() {
		t.Fatal("nobody would end the server: let TestMain call pgtest.Main")
	}
	shared.once.Do(func() {
		shared.s, shared.err = Start("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB")
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	name := fmt.Sprintf("t%d", shared.n.Add(1))
	if err := shared.s.Create(t.Context(), name+like); err != nil {
		t.Fatal(err)
	}
	return shared.s.DSN(name)
}

// Create makes an empty database.
func (s *Server) Create(ctx context.Context, name string) error {
	return s.Exec(ctx, `CREATE DATABASE `+name)
}

// Exec runs a statement as the superuser.
func (s *Server) Exec(ctx context.Context, statement string) error {
	db, err := sql.Open("pgx", s.DSN("postgres"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}
