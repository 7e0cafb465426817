package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"ellis.example/deploy/internal/launch"
)

// burden is what a process holds. Idle connections to Redis are no files of it: a pool keeps what it once needed, up to its
// size for each node.
type burden struct{ goroutines, files int }

// more reports whether a process holds more than one in twenty more than before. The constant is for what comes and goes by
// itself: a job that runs, a connection that a pool opened and has not closed yet.
func (b burden) more(before burden) bool {
	beyond := func(now, then int) bool { return now > then+then/20+16 }
	return beyond(b.goroutines, before.goroutines) || beyond(b.files, before.files)
}

func (b burden) String() string {
	return fmt.Sprintf("%d goroutines and %d files", b.goroutines, b.files)
}

// processes are all of both services.
func (s *system) processes() []*launch.Process {
	return append(append([]*launch.Process(nil), s.idp.procs...), s.cases.procs...)
}

// burdens measures every process by its name.
func (s *system) burdens(ctx context.Context) (map[string]burden, error) {
	out := map[string]burden{}
	for _, p := range s.processes() {
		files, err := os.ReadDir("/proc/" + strconv.Itoa(p.Pid) + "/fd")
		if err != nil {
			return nil, err
		}
		n, err := p.Metric(ctx, "go_goroutines")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Spec.Name, err)
		}
		idle, err := p.Metric(ctx, `idp_redis_connections{state="idle"}`)
		if err != nil && !errors.Is(err, launch.ErrNoMetric) { // without Redis there is none
			return nil, fmt.Errorf("%s: %w", p.Spec.Name, err)
		}
		out[p.Spec.Name] = burden{int(n), len(files) - int(idle)}
	}
	return out, nil
}

const (
	betweenLooks = 250 * time.Millisecond
	stale        = 8 // looks without anything less
)

// rest waits until no process lets go of anything more, and returns what they hold then.
func (s *system) rest(ctx context.Context) (least map[string]burden, err error) {
	for still := 0; still < stale; still++ {
		now, err := s.burdens(ctx)
		if err != nil {
			return nil, err
		}
		if least == nil {
			least = now
		}
		for name, b := range now {
			if old := least[name]; b.goroutines < old.goroutines || b.files < old.files {
				least[name], still = burden{min(b.goroutines, old.goroutines), min(b.files, old.files)}, 0
			}
		}
		if err := wait(ctx, s.look); err != nil {
			return nil, err
		}
	}
	return least, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// restEvery is after how many rounds processes rest at the latest.
const restEvery = 25

// restBefore reports whether processes rest before a fault happens. After one that ends them nobody knows what they held.
func (r *run) restBefore(next fault) bool { return next.ends || r.done%restEvery == 0 }

// warm lets the driver play until every process has what it needs, and returns what they hold at rest.
func (r *run) warm(ctx context.Context) (map[string]burden, error) {
	loaded, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	r.driver.load(loaded, r.seed)
	return r.sys.rest(ctx)
}

// idleTime is how long a process may take to let go of what nobody uses.
const idleTime = time.Minute

// leaks waits until no process holds more than before. Whichever still does after a minute without load leaks (L9).
func (s *system) leaks(ctx context.Context, before map[string]burden) ([]breach, error) {
	for began := time.Now(); ; {
		now, err := s.burdens(ctx)
		if err != nil {
			return nil, err
		}
		out := leaked(before, now)
		if len(out) == 0 || time.Since(began) > idleTime {
			return out, nil
		}
		if err := wait(ctx, s.look); err != nil {
			return nil, err
		}
	}
}

func leaked(before, now map[string]burden) (out []breach) {
	for name, b := range now {
		if was := before[name]; b.more(was) {
			out = append(out, breach{"L9", 0, fmt.Sprintf("%s holds %s, after %s at the start", name, b, was)})
		}
	}
	return out
}
