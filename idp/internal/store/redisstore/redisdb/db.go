package redisdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"ellis.example/idp/internal/fault"
)

// ErrUnavailable says that Redis does not answer, or has no room.
var ErrUnavailable = (&fault.Error{Kind: fault.Unavailable, Code: "temporarily_unavailable", Message: "a store does not answer; try again soon"}).After(2 * time.Second)

// keepsAll is the one policy under which a server that is full refuses what is new. Under every other it forgets something.
const keepsAll = "noeviction"

// DB is a connection to Redis. It is safe for concurrent use.
type DB struct {
	redis.UniversalClient
	log *slog.Logger

	mu      sync.Mutex
	problem string // what the last check found
}

var silence sync.Once

// Open prepares a connection and looks at the server. One that does not answer is no error: it may come back. Errors:
// *config.Error when it refuses us, or may forget what it was given.
func Open(ctx context.Context, c Config, log *slog.Logger) (*DB, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	silence.Do(logging.Disable) // it would write beside the log; Check says what is wrong
	d := &DB{UniversalClient: connect(o), log: log}
	switch err := d.look(ctx); {
	case err == nil:
	case answered(err):
		return nil, errors.Join(wrong(err.Error()), d.Close())
	default:
		d.say(ctx, "redis does not answer")
	}
	return d, nil
}

// connect returns the client for what is asked for.
func connect(o *redis.UniversalOptions) redis.UniversalClient {
	if !o.IsClusterMode {
		return redis.NewUniversalClient(o)
	}
	cluster := o.Cluster()
	// A write to a primary that died goes on failing until the client has looked at the cluster again: by itself it does so
	// once a minute.
	cluster.ClusterStateReloadInterval, cluster.DisableRoutingPolicies = time.Second, true
	return redis.NewClusterClient(cluster)
}

// errEvicts: the server may forget what it was given.
type errEvicts struct{ policy string }

func (e errEvicts) Error() string {
	if e.policy == "" {
		return "maxmemory-policy cannot be read: allow CONFIG GET or INFO"
	}
	return "maxmemory-policy is " + e.policy + ": set it to " + keepsAll
}

// answered reports whether err is what a server said, and will say again: that it knows us not, or forgets.
func answered(err error) bool {
	var evicts errEvicts
	if errors.As(err, &evicts) {
		return true
	}
	for _, no := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR invalid password", "ERR DB index", "ERR Client sent AUTH"} {
		if strings.HasPrefix(err.Error(), no) {
			return true
		}
	}
	return false
}

// look asks every primary for its policy.
func (d *DB) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*opTimeout)
	defer cancel()
	if cluster, ok := d.UniversalClient.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return policy(ctx, c) })
	}
	return policy(ctx, d)
}

func policy(ctx context.Context, c redis.Cmdable) error {
	set, err := c.ConfigGet(ctx, "maxmemory-policy").Result()
	found := set["maxmemory-policy"]
	if err != nil && (strings.HasPrefix(err.Error(), "NOPERM") || strings.HasPrefix(err.Error(), "ERR unknown")) {
		var text string
		if text, err = c.Info(ctx, "memory").Result(); err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
			return errEvicts{}
		}
		for line := range strings.Lines(text) {
			if v, is := strings.CutPrefix(line, "maxmemory_policy:"); is {
				found = strings.TrimSpace(v)
			}
		}
	}
	switch {
	case err != nil:
		return err
	case found != keepsAll:
		return errEvicts{found}
	}
	return nil
}

// Check looks whether the server answers and still keeps everything, and logs what changed. Errors: none; it is a job that
// runs every few seconds, so that a server that was replaced is looked at.
func (d *DB) Check(ctx context.Context) error {
	err := d.look(ctx)
	var evicts errEvicts
	switch {
	case err == nil:
		d.say(ctx, "")
	case ctx.Err() != nil:
	case errors.As(err, &evicts):
		d.say(ctx, "redis may forget: "+err.Error())
	case answered(err):
		d.say(ctx, "redis refuses us")
	default:
		d.say(ctx, "redis does not answer")
	}
	return nil
}

// say keeps what is wrong, and logs it once.
func (d *DB) say(ctx context.Context, problem string) {
	d.mu.Lock()
	was := d.problem
	d.problem = problem
	d.mu.Unlock()
	switch {
	case was == problem:
	case problem == "":
		d.log.LogAttrs(ctx, slog.LevelInfo, "redis is well again", slog.String("was", was))
	default:
		d.log.LogAttrs(ctx, slog.LevelError, "redis is not well", slog.String("cause", problem))
	}
}

// Problem is what is wrong at the moment, or "".
func (d *DB) Problem(ctx context.Context) string {
	d.mu.Lock()
	problem := d.problem
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if problem == "" && d.Ping(ctx).Err() != nil {
		return "redis does not answer"
	}
	return problem
}

// Within returns a context for one operation, which ends before a person loses patience.
func Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, opTimeout)
}

// Fault is err as a fault: ErrUnavailable, whatever Redis said. Fault(nil) is nil.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	return ErrUnavailable.Because(fmt.Errorf("redis: %w", err))
}
