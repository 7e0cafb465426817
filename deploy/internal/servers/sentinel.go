package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Sentinel is a Redis primary with two replicas, and three sentinels that make one of them the primary when it has been silent
// for a second. Its methods are safe for concurrent use.
type Sentinel struct{ nodes, watchers []*Redis }

// primaryName is what the sentinels call their primary.
const primaryName = "ellis"

// StartSentinel starts all six, and returns when they know each other.
func StartSentinel(ctx context.Context) (s *Sentinel, err error) {
	s = &Sentinel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	for i := range 3 {
		args := []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}
		if i > 0 {
			args = append(args, "--replicaof", fmt.Sprintf("127.0.0.1 %d", s.nodes[0].Port))
		}
		r, err := StartRedis(ctx, args...)
		if err != nil {
			return s, err
		}
		s.nodes = append(s.nodes, r)
	}
	for range 3 {
		r, err := startWatcher(ctx, s.nodes[0].Port)
		if err != nil {
			return s, err
		}
		s.watchers = append(s.watchers, r)
	}
	return s, s.Whole(ctx)
}

func startWatcher(ctx context.Context, primary int) (*Redis, error) {
	r, err := newRedis()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.dir, "sentinel.conf")
	text := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %q
sentinel monitor %[3]s 127.0.0.1 %[4]d 2
sentinel down-after-milliseconds %[3]s 1000
sentinel failover-timeout %[3]s 3000
sentinel parallel-syncs %[3]s 2
`, r.Port, r.dir, primaryName, primary)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir))
	}
	r.args = []string{file, "--sentinel"}
	return r.first(ctx)
}

// Whole waits until each sentinel sees the same living primary, two replicas that follow it, and the other sentinels.
func (s *Sentinel) Whole(ctx context.Context) error {
	return until(ctx, "the sentinels agree", func() bool {
		p, err := s.named(ctx)
		if err != nil {
			return false
		}
		state, err := p.Do(ctx, "INFO", "replication")
		if err != nil || !strings.Contains(state, "role:master") || strings.Count(state, "state=online") != len(s.nodes)-1 {
			return false
		}
		for _, w := range s.watchers {
			state, err := w.Do(ctx, "INFO", "sentinel")
			if err != nil || !strings.Contains(state, fmt.Sprintf("status=ok,address=127.0.0.1:%d,slaves=2,sentinels=3", p.Port)) {
				return false
			}
		}
		return true
	})
}

// named is the server that every sentinel names as the primary.
func (s *Sentinel) named(ctx context.Context) (*Redis, error) {
	says := ""
	for _, w := range s.watchers {
		address, err := w.Do(ctx, "SENTINEL", "get-master-addr-by-name", primaryName)
		if err != nil {
			return nil, err
		}
		if says != "" && says != address {
			return nil, errors.New("the sentinels name different primaries")
		}
		says = address
	}
	for _, n := range s.nodes {
		if says == fmt.Sprintf("127.0.0.1\n%d", n.Port) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the sentinels name %q as the primary", says)
}

// Primary is the server that takes writes. It waits while there is none, or the sentinels disagree.
func (s *Sentinel) Primary(ctx context.Context) (p *Redis, err error) {
	err = until(ctx, "there is a primary", func() bool {
		found, err := s.named(ctx)
		if err != nil {
			return false
		}
		p = found
		role, err := p.Do(ctx, "ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
	return p, err
}

// After waits until another server than old is the primary.
func (s *Sentinel) After(ctx context.Context, old *Redis) error {
	return until(ctx, "another server is the primary", func() bool {
		p, err := s.named(ctx)
		return err == nil && p != old
	})
}

// URL names the set as --redis does.
func (s *Sentinel) URL() string {
	var at []string
	for _, w := range s.watchers {
		at = append(at, w.address())
	}
	return "redis+sentinel://" + strings.Join(at, ",") + "/" + primaryName
}

// Stop ends everything.
func (s *Sentinel) Stop() (err error) {
	for _, r := range append(s.watchers, s.nodes...) {
		err = errors.Join(err, r.Stop())
	}
	return err
}

// until looks again and again until something is so.
func until(ctx context.Context, what string, ok func() bool) error {
	for end := time.Now().Add(patience); !ok(); time.Sleep(poll) { //nolint:forbidigo // real servers take real time
		if ctx.Err() != nil || time.Now().After(end) { //nolint:forbidigo // as above
			return errors.Join(fmt.Errorf("%s: not within %s", what, patience), ctx.Err())
		}
	}
	return nil
}
