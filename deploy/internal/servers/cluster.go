package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"ellis.example/deploy/internal/freeport"
)

// Cluster is a Redis Cluster of three primaries with a replica each, which take a primary for dead that has been silent for a
// second. Its methods are safe for concurrent use.
type Cluster struct{ nodes []*Redis }

// StartCluster starts all six, and returns when they are a whole.
func StartCluster(ctx context.Context) (c *Cluster, err error) {
	c = &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	args := []string{"--cluster-yes", "--cluster-replicas", "1", "--cluster", "create"}
	for range 6 {
		bus, err := freeport.Free()
		if err != nil {
			return c, err
		}
		r, err := StartRedis(ctx, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(bus), "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, r)
		args = append(args, r.address())
	}
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return c, fmt.Errorf("redis-cli: %w: %s", err, out)
	}
	return c, c.Whole(ctx)
}

// member is what one node says of another, or of itself.
type member struct {
	address        string
	primary, slots bool
	alive          bool
}

// members asks a node.
func members(ctx context.Context, of *Redis) (out []member, err error) {
	text, err := of.Do(ctx, "CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) { // id address@bus,host flags primary ping pong epoch link slots…
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("a node of the cluster says %q", line)
		}
		at, _, _ := strings.Cut(f[1], "@")
		out = append(out, member{at, strings.Contains(f[2], "master"), len(f) > 8, f[7] == "connected" && !strings.Contains(f[2], "fail")})
	}
	return out, nil
}

// Whole waits until every node sees three living primaries with slots, and three living replicas.
func (c *Cluster) Whole(ctx context.Context) error {
	return until(ctx, "the cluster is whole", func() bool {
		for _, n := range c.nodes {
			state, err := n.Do(ctx, "CLUSTER", "INFO")
			if err != nil || !strings.Contains(state, "cluster_state:ok") {
				return false
			}
			list, err := members(ctx, n)
			if err != nil || len(list) != len(c.nodes) {
				return false
			}
			primaries := 0
			for _, m := range list {
				if !m.alive || m.primary != m.slots {
					return false
				}
				if m.primary {
					primaries++
				}
			}
			if primaries != len(c.nodes)/2 {
				return false
			}
		}
		return true
	})
}

// Primary is a server that takes writes, of which there are three.
func (c *Cluster) Primary(ctx context.Context) (*Redis, error) {
	list, err := members(ctx, c.nodes[0])
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		for _, n := range c.nodes {
			if m.slots && m.address == n.address() {
				return n, nil
			}
		}
	}
	return nil, errors.New("the cluster has no primary")
}

// After waits until another server has the slots of old, as all the others see it.
func (c *Cluster) After(ctx context.Context, old *Redis) error {
	return until(ctx, "another server has the slots", func() bool {
		for _, n := range c.nodes {
			if n == old {
				continue
			}
			list, err := members(ctx, n)
			if err != nil {
				return false
			}
			for _, m := range list {
				if m.address == old.address() && m.slots {
					return false
				}
			}
		}
		return true
	})
}

// URL names the cluster as --redis does.
func (c *Cluster) URL() string {
	var at []string
	for _, n := range c.nodes {
		at = append(at, n.address())
	}
	return "redis+cluster://" + strings.Join(at, ",")
}

// Stop ends everything.
func (c *Cluster) Stop() (err error) {
	for _, n := range c.nodes {
		err = errors.Join(err, n.Stop())
	}
	return err
}
