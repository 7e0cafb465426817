package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"ellis.example/idp/internal/freeport"
)

const (
	patience = 20 * time.Second
	glance   = 20 * time.Millisecond // between two looks at what is awaited
)

// Server is a running Redis, or a Sentinel.
type Server struct {
	Port int
	dir  string
	args []string
	cmd  *exec.Cmd
	done chan struct{}
	out  bytes.Buffer
	conn *redis.Client
}

// Start starts a server that keeps nothing on disk, with further arguments such as "--maxmemory-policy", "allkeys-lru". The
// caller ends it with Stop.
func Start(args ...string) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	s.args = append([]string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no"}, args...)
	return s, s.start()
}

// prepare finds a port and a folder.
func prepare() (*Server, error) {
	port, err := freeport.Free()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ellis-redis-")
	if err != nil {
		return nil, err
	}
	return &Server{Port: port, dir: dir}, nil
}

// start runs the program and waits until it answers.
func (s *Server) start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is not installed (Debian: apt install redis-server)")
	}
	s.cmd = exec.Command(path, s.args...)
	s.cmd.Dir = s.dir
	s.out.Reset()
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	s.done = done
	go func(c *exec.Cmd) { _ = c.Wait(); close(done) }(s.cmd)
	for end := time.Now().Add(patience); ; {
		_, err := s.Do("PING")
		if err == nil || answered(err) {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("redis-server ended: %s", s.out.String())
		case <-time.After(glance):
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("redis-server does not answer: %w", err), s.Kill())
		}
	}
}

// answered reports whether an error is an answer: of a server that wants a password first, for one.
func answered(err error) bool {
	var r redis.Error
	return errors.As(err, &r)
}

var quiet sync.Once

// Do sends one command as the user that has no password, and returns its answer.
func (s *Server) Do(args ...any) (any, error) {
	if s.conn == nil {
		quiet.Do(logging.Disable) // that a server is not there yet is no news
		s.conn = redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: 1, DialerRetries: 1, DialTimeout: time.Second, ReadTimeout: 5 * time.Second})
	}
	return s.conn.Do(context.Background(), args...).Result()
}

// Addr is where the server listens.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// URL names the server as --redis does.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// FlushAll empties the server.
func (s *Server) FlushAll() error {
	_, err := s.Do("FLUSHALL")
	return err
}

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) error {
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.done:
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("redis-server did not end"), s.cmd.Process.Kill())
	}
}

// Restart starts the server again after Kill, on the same port, with what is on its disk: nothing.
func (s *Server) Restart() error { return s.start() }

// Pause stops the process where it stands: connections stay open and nothing is answered.
func (s *Server) Pause() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	}
	if s.done != nil {
		err = errors.Join(err, s.end(syscall.SIGKILL))
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

var shared struct {
	once sync.Once
	s    *Server
	err  error
	n    atomic.Int64 // databases that were given out
}

// databases is how many the shared server has: more than a package has tests.
const databases = 4096

// Main runs the tests of a package and ends the server that they shared, if any. TestMain calls it.
func Main(m *testing.M) int {
	code := m.Run()
	if err := StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "redistest:", err)
		return 1
	}
	return code
}

// StopShared ends the server that the tests of the package shared, if any.
func StopShared() error {
	if shared.s == nil {
		return nil
	}
	return shared.s.Stop()
}

// Shared returns a server that the tests of the package share. Nobody flushes, stops or reconfigures it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.s, shared.err = Start("--databases", strconv.Itoa(databases)) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.s
}

// Database returns the URL of a database of the shared server that is one test's alone.
func Database(t testing.TB) string {
	t.Helper()
	n := shared.n.Add(1)
	if n >= databases {
		t.Fatal("redistest: the shared server has no further database")
	}
	return fmt.Sprintf("%s/%d", Shared(t).URL(), n)
}

// Own returns a server for one test alone.
func Own(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Start(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Write puts a file into the server's folder and returns its path.
func (s *Server) write(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// until looks again and again until something is so.
func until(what string, ok func() bool) error {
	for end := time.Now().Add(patience); !ok(); time.Sleep(glance) {
		if time.Now().After(end) {
			return fmt.Errorf("redistest: %s: not within %v", what, patience)
		}
	}
	return nil
}
