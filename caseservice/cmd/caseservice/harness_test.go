package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ellis.example/caseservice/internal/sqldb/pgtest"

	_ "modernc.org/sqlite" // to look into the database, as somebody with a shell would
)

// asCommand makes the test binary the command itself, so that signals, exit statuses and the environment are real.
const asCommand = "CASESERVICE_TEST_RUNS_THE_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		_ = os.Unsetenv(asCommand)
		main()
		return
	}
	os.Exit(pgtest.Main(m))
}

// operator is somebody with a shell and one database.
type operator struct {
	t        *testing.T
	dir      string
	database string
	key      string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{t: t, dir: t.TempDir()}
	o.database = "sqlite:" + filepath.Join(o.dir, "cases.db")
	o.key = o.write("code.key", strings.Repeat("ab", 32)+"\n")
	return o
}

func (o *operator) write(name, text string) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// result is what a command did.
type result struct {
	out, err string
	status   int
}

// run carries out a command line in this process.
func (o *operator) run(args ...string) result {
	o.t.Helper()
	return o.feed("", args...)
}

// feed is run with something on standard input.
func (o *operator) feed(in string, args ...string) result {
	o.t.Helper()
	var out, errs bytes.Buffer
	status := run(o.t.Context(), args, strings.NewReader(in), &out, &errs)
	return result{out.String(), errs.String(), status}
}

// ok runs a command that must succeed and decodes the JSON that it prints.
func (o *operator) ok(into any, args ...string) {
	o.t.Helper()
	r := o.run(append(args, "--database", o.database, "--json")...)
	if r.status != exitOK {
		o.t.Fatalf("%v: status %d: %s", args, r.status, r.err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(r.out), into); err != nil {
		o.t.Fatalf("%v: %v in %s", args, err, r.out)
	}
}

// sql changes the database behind the service's back.
func (o *operator) sql(statements string) {
	o.t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(o.database, "sqlite:")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(statements); err != nil {
		o.t.Fatal(err)
	}
}

// count asks the database for a number.
func (o *operator) count(query string) (n int) {
	o.t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(o.database, "sqlite:")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		o.t.Fatal(err)
	}
	return n
}

// shell carries out a command line in a process of its own, with an environment of its own.
func (o *operator) shell(env []string, args ...string) result {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := command(ctx, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		o.t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{asCommand + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	return cmd
}

// process is a service that runs.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	public  string // URLs
	private string
	log     *record
	ended   chan struct{}
}

// record is the log of a process.
type record struct {
	mu  sync.Mutex
	all []string
}

func (l *record) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// start starts a service on free ports and waits until it says where it serves.
func (o *operator) start(args ...string) *process {
	o.t.Helper()
	args = append(args, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0")
	p := &process{t: o.t, cmd: command(context.Background(), nil, args...), log: &record{}, ended: make(chan struct{})}
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	serving := make(chan bool, 1)
	go func() {
		defer close(p.ended)
		p.read(pipe, serving)
		_ = p.cmd.Wait() // ProcessState says how it ended
	}()
	select {
	case <-serving:
	case <-p.ended:
		o.t.Fatalf("it ended: %s", p.log)
	case <-time.After(20 * time.Second):
		o.t.Fatalf("it does not serve: %s", p.log)
	}
	return p
}

func (p *process) read(pipe io.Reader, serving chan<- bool) {
	s := bufio.NewScanner(pipe)
	for s.Scan() {
		p.log.mu.Lock()
		p.log.all = append(p.log.all, s.Text())
		p.log.mu.Unlock()
		var line struct{ Msg, Listen, Private string }
		if json.Unmarshal(s.Bytes(), &line) == nil && line.Msg == "serving" {
			p.public, p.private = "http://"+line.Listen, "http://"+line.Private
			serving <- true
		}
	}
}

// get asks for an address and returns status and body.
func (p *process) get(url string, header ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Error(err)
	}
}

// wait waits for the end and returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("it does not end: %s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}
