package redistest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ellis.example/idp/internal/freeport"
)

// Sentinel is a primary with replicas, and the sentinels that watch it.
type Sentinel struct {
	Servers   []*Server // the first is the primary at the start
	Sentinels []*Server
}

// masterName is what sentinels call their primary.
const masterName = "ellis"

// StartSentinel starts a primary with two replicas and three sentinels, which take it for dead after a second. The caller ends
// them with Stop.
func StartSentinel() (_ *Sentinel, err error) {
	g := &Sentinel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Stop())
		}
	}()
	for i := range 3 {
		args := []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}
		if i > 0 {
			args = append(args, "--replicaof", "127.0.0.1 "+strconv.Itoa(g.Servers[0].Port))
		}
		s, err := Start(args...)
		if err != nil {
			return g, err
		}
		g.Servers = append(g.Servers, s)
	}
	if err := until("replicas follow", func() bool { return g.Servers[0].info("replication", "connected_slaves") == "2" }); err != nil {
		return g, err
	}
	for range 3 {
		s, err := startSentinel(g.Servers[0].Port)
		if err != nil {
			return g, err
		}
		g.Sentinels = append(g.Sentinels, s)
	}
	return g, until("sentinels know each other", func() bool {
		for _, s := range g.Sentinels {
			if m := s.info("sentinel", "master0"); !strings.Contains(m, "slaves=2,sentinels=3") {
				return false
			}
		}
		return true
	})
}

func startSentinel(primary int) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	file, err := s.write("sentinel.conf", fmt.Sprintf(`port %d
bind 127.0.0.1
dir %q
sentinel monitor %[3]s 127.0.0.1 %[4]d 2
sentinel down-after-milliseconds %[3]s 1000
sentinel failover-timeout %[3]s 3000
sentinel parallel-syncs %[3]s 2
`, s.Port, s.dir, masterName, primary))
	if err != nil {
		return nil, err
	}
	s.args = []string{file, "--sentinel"}
	return s, s.start()
}

// info returns one value of INFO, or "".
func (s *Server) info(section, name string) string {
	v, err := s.Do("INFO", section)
	text, ok := v.(string)
	if err != nil || !ok {
		return ""
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// URL names the set as --redis does.
func (g *Sentinel) URL() string {
	return "redis+sentinel://" + addresses(g.Sentinels) + "/" + masterName
}

func addresses(servers []*Server) string {
	var out []string
	for _, s := range servers {
		out = append(out, s.Addr())
	}
	return strings.Join(out, ",")
}

// Stop ends everything.
func (g *Sentinel) Stop() error { return errors.Join(stop(g.Sentinels), stop(g.Servers)) }

func stop(servers []*Server) (err error) {
	for _, s := range servers {
		err = errors.Join(err, s.Stop())
	}
	return err
}

// Cluster is six nodes: three primaries with a replica each.
type Cluster struct {
	Nodes []*Server
	buses []int // the ports at which they talk to each other
}

const slots = 16384

// StartCluster starts six nodes and makes them a cluster that takes a primary for dead after a second. The caller ends them with Stop.
func StartCluster() (_ *Cluster, err error) {
	c := &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	for range 6 {
		bus, err := freeport.Free()
		if err != nil {
			return c, err
		}
		s, err := Start("--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		if err != nil {
			return c, err
		}
		c.Nodes, c.buses = append(c.Nodes, s), append(c.buses, bus)
	}
	if err := c.join(); err != nil {
		return c, err
	}
	return c, until("the cluster is whole", func() bool {
		for _, s := range c.Nodes {
			if v, err := s.Do("CLUSTER", "INFO"); err != nil || !strings.Contains(v.(string), "cluster_state:ok") {
				return false
			}
		}
		for _, s := range c.Nodes[:3] {
			if s.info("replication", "connected_slaves") != "1" {
				return false
			}
		}
		return true
	})
}

// join gives the slots to the first three nodes, and each of the others one of these to follow.
func (c *Cluster) join() error {
	for i, s := range c.Nodes {
		if i < 3 {
			if _, err := s.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/3, (i+1)*slots/3-1); err != nil {
				return err
			}
		}
		if _, err := s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return err
		}
	}
	for i, s := range c.Nodes[1:] {
		if _, err := c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", s.Port, c.buses[i+1]); err != nil {
			return err
		}
	}
	for i, s := range c.Nodes[3:] {
		id, err := c.Nodes[i].Do("CLUSTER", "MYID")
		if err != nil {
			return err
		}
		if err := until("nodes know each other", func() bool {
			_, err := s.Do("CLUSTER", "REPLICATE", id)
			return err == nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// URL names the cluster as --redis does.
func (c *Cluster) URL() string { return "redis+cluster://" + addresses(c.Nodes) }

// Stop ends everything.
func (c *Cluster) Stop() error { return stop(c.Nodes) }

// OwnSentinel returns a set for one test alone.
func OwnSentinel(t testing.TB) *Sentinel {
	t.Helper()
	g, err := StartSentinel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// OwnCluster returns a cluster for one test alone.
func OwnCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := StartCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}
