package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"ellis.example/deploy/internal/freeport"
)

const answerTime = 5 * time.Second

// Redis is a Redis server of our own. It keeps nothing on disk: a restart loses everything.
type Redis struct {
	Port int

	dir  string
	args []string
	cmd  *exec.Cmd
	gone chan struct{}
}

// StartRedis starts a server. settings are arguments: "--maxmemory", "2mb".
func StartRedis(ctx context.Context, settings ...string) (*Redis, error) {
	r, err := newRedis()
	if err != nil {
		return nil, err
	}
	r.args = append([]string{"--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir, "--maxmemory-policy", "noeviction"}, settings...)
	return r.first(ctx)
}

// newRedis finds a port and makes a folder.
func newRedis() (*Redis, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("redis is not installed (Debian: apt install redis-server): %w", err)
	}
	port, err := freeport.Free()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ellis-redis-")
	return &Redis{Port: port, dir: dir}, err
}

// first starts a server for the first time: one that does not start leaves nothing behind.
func (r *Redis) first(ctx context.Context) (*Redis, error) {
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// Start starts the server, again after Kill, on the same port, and waits until it answers.
func (r *Redis) Start(ctx context.Context) error {
	cmd := exec.Command("redis-server", r.args...) //nolint:gosec,noctx // it outlives the start
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd, r.gone = cmd, make(chan struct{})
	gone := r.gone
	go func() { _ = cmd.Wait(); close(gone) }()
	for end := time.Now().Add(patience); ; time.Sleep(poll) { //nolint:forbidigo // a real server takes real time
		if out, err := r.Do(ctx, "PING"); err == nil && out == "PONG" {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("redis ended: %s", said.Bytes())
		default:
		}
		if time.Now().After(end) || ctx.Err() != nil { //nolint:forbidigo // as above
			return errors.Join(errors.New("redis does not answer"), ctx.Err())
		}
	}
}

// Do runs a command and returns what it printed.
func (r *Redis) Do(ctx context.Context, args ...string) (string, error) {
	ctx, done := context.WithTimeout(ctx, answerTime) // one that is stopped takes connections, and says nothing
	defer done()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-p", strconv.Itoa(r.Port)}, args...)...).CombinedOutput() //nolint:gosec // arguments of ours
	if err != nil {
		return "", fmt.Errorf("redis-cli: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// URL names the server.
func (r *Redis) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.Port) }

func (r *Redis) address() string { return fmt.Sprintf("127.0.0.1:%d", r.Port) }

// Pid is the process of the server.
func (r *Redis) Pid() int { return r.cmd.Process.Pid }

// Kill ends the server as a crash would.
func (r *Redis) Kill() error {
	if r.cmd == nil {
		return nil
	}
	_ = r.cmd.Process.Kill() // it may be gone
	select {
	case <-r.gone:
		return nil
	case <-time.After(patience):
		return errors.New("redis did not end")
	}
}

// Stop ends the server and removes its folder.
func (r *Redis) Stop() error { return errors.Join(r.Kill(), os.RemoveAll(r.dir)) }
