package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	grace     = 15 * time.Second      // between SIGTERM and SIGKILL; longer than the services drain
	pollReady = 10 * time.Millisecond // between two looks at /readyz
	maxDeaths = 256                   // that wait to be asked for
	tailLines = 15
	tailBytes = 16 << 10
)

// Spec says what to start.
type Spec struct {
	Name string // names the log file NAME.log
	Path string
	Args []string
	Env  []string // KEY=VALUE, beside the environment of this process
	At   string   // where it listens for its clients, as host:port; "": nobody asks
	// Ready is the URL that answers 200 once the process serves, with a JSON object that may name what is "degraded".
	Ready string
}

// Process is a child that was started.
type Process struct {
	Spec
	Pid int
	Log string // path of what it writes to standard output and error

	cmd      *exec.Cmd
	gone     chan struct{} // closed when it ended
	err      error         // how it ended; read after gone
	stopping chan struct{} // closed when it was asked to end
	asked    sync.Once
}

// Death is the error of a child that ended without being asked.
type Death struct {
	Name string
	Log  string // path
	Err  error  // of the process: an *exec.ExitError, or nil if it left with status 0
	Tail string // its last lines
}

// Error implements error.
func (d *Death) Error() string {
	how := "exit status 0"
	if d.Err != nil {
		how = d.Err.Error()
	}
	return fmt.Sprintf("%s ended by itself (%s); the last lines of %s:\n%s", d.Name, how, d.Log, d.Tail)
}

// Group is a set of children that end together. Its methods are safe for concurrent use.
type Group struct {
	logs  string
	grace time.Duration
	died  chan *Process

	mu    sync.Mutex
	procs []*Process
}

// NewGroup returns an empty group that writes logs into a folder.
func NewGroup(logs string) *Group {
	return &Group{logs: logs, grace: grace, died: make(chan *Process, maxDeaths)}
}

// Start starts a child. It ends at Stop, and on Linux also when this process dies without calling it.
func (g *Group) Start(s Spec) (*Process, error) {
	p := &Process{Spec: s, Log: filepath.Join(g.logs, s.Name+".log"), gone: make(chan struct{}), stopping: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // a name of ours in a folder of ours
	if err != nil {
		return nil, err
	}
	defer log.Close()                       //nolint:errcheck // the child has its own handle
	p.cmd = exec.Command(s.Path, s.Args...) //nolint:gosec,noctx // a binary that was just built; Stop ends it
	p.cmd.Env = Environ(s.Env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = bound()
	g.mu.Lock()
	defer g.mu.Unlock()
	started := make(chan error)
	go g.keep(p, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	p.Pid = p.cmd.Process.Pid
	g.procs = append(g.procs, p)
	return p, nil
}

// StartAll starts children, and returns when all of them serve. Those that were started are returned with an error too.
func (g *Group) StartAll(ctx context.Context, specs ...Spec) (procs []*Process, err error) {
	for _, s := range specs {
		p, err := g.Start(s)
		if err != nil {
			return procs, err
		}
		procs = append(procs, p)
	}
	for _, p := range procs {
		if err := p.Ready(ctx); err != nil {
			return procs, err
		}
	}
	return procs, nil
}

// keep starts a child and waits for its end on one thread: Linux ends a child with the thread that started it.
func (g *Group) keep(p *Process, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.gone)
	select {
	case <-p.stopping:
	default:
		select {
		case g.died <- p:
		default: // nobody has asked for so long that one more says nothing new
		}
	}
}

// Wait waits until ctx ends (nil) or a child ends by itself (*Death). Each end is told once, in its order.
func (g *Group) Wait(ctx context.Context) error {
	select {
	case p := <-g.died:
		return p.death()
	case <-ctx.Done():
		return nil
	}
}

// Stop ends every child, the last one first to be asked, and returns when all are gone. Who does not go in time is killed.
func (g *Group) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.procs) - 1; i >= 0; i-- {
		g.procs[i].terminate()
	}
	late := time.After(g.grace)
	for _, p := range g.procs {
		select {
		case <-p.gone:
		case <-late:
			late = time.After(0) // for the others too
			_ = p.cmd.Process.Kill()
			<-p.gone
		}
	}
	g.procs = nil
}

// Kill ends the child as a crash would, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.gone
}

// End asks the child to end, and returns when it is gone. How long it may take is its own matter. Nobody is told of it as of
// a death. It returns how the child ended.
func (p *Process) End() error {
	p.terminate()
	<-p.gone
	return p.err
}

func (p *Process) terminate() {
	p.asked.Do(func() { close(p.stopping) })
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
}

// Ready waits until the child serves and says of nothing that it does not work at the moment. Errors: *Death; that of ctx,
// with the last answer.
func (p *Process) Ready(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	for {
		last := probe(ctx, client, p.Spec.Ready)
		if last == nil {
			return nil
		}
		select {
		case <-p.gone:
			return p.death()
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w (%w); the last lines of %s:\n%s", p.Name, ctx.Err(), last, p.Log, Tail(p.Log))
		case <-time.After(pollReady):
		}
	}
}

func probe(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return errors.New(url + " answers " + resp.Status)
	}
	var state struct {
		Degraded []string `json:"degraded"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&state) // who says nothing is ready
	if len(state.Degraded) > 0 {
		return fmt.Errorf("%s says that this does not work: %s", url, strings.Join(state.Degraded, ", "))
	}
	return nil
}

// death tells how a child ended; it must be gone.
func (p *Process) death() *Death {
	return &Death{Name: p.Name, Log: p.Log, Err: p.err, Tail: Tail(p.Log)}
}

// Tail returns the last lines of a file, or why they cannot be read.
func Tail(path string) string {
	f, err := os.Open(path) //nolint:gosec // a log of ours
	if err != nil {
		return err.Error()
	}
	defer f.Close() //nolint:errcheck // only read
	if st, err := f.Stat(); err == nil && st.Size() > tailBytes {
		_, _ = f.Seek(-tailBytes, io.SeekEnd)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// Environ is the environment of this process without the settings of our services, which would change what is started, and
// with more.
func Environ(more ...string) []string {
	var out []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "IDP_") && !strings.HasPrefix(kv, "CASESERVICE_") {
			out = append(out, kv)
		}
	}
	return append(out, more...)
}
