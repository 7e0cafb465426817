package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/store/redisstore"
	"ellis.example/caseservice/internal/store/redisstore/redisdb"
)

// sessionKey is the name of the secret under which sessions are sealed in Redis.
const sessionKey = "session-key"

// redisEvery is how often Redis is looked at: one that was replaced may forget what the last one kept.
const redisEvery = 5 * time.Second

// sharing says where the portal's sessions are kept.
type sharing struct {
	redis redisdb.Config
	key   []byte // 256 bits; nil without Redis
}

func sharingFlags(fs *pflag.FlagSet) {
	redisdb.Flags(fs, prefix, "where several processes of the portal share sessions; in this process, if it is empty")
	config.SecretFlag(fs, prefix, sessionKey, "key that seals sessions in Redis, 32 random bytes, the same for every process of the portal")
}

// readSharing reads sharingFlags. Errors: *config.Error.
func readSharing(fs *pflag.FlagSet) (s sharing, err error) {
	if s.redis, err = redisdb.Read(fs, prefix); err != nil || s.redis.URL == "" {
		return s, err
	}
	s.key, err = config.Key(fs, prefix, sessionKey)
	return s, err
}

// sessions are the store of the portal's sessions and what belongs to it.
type sessions struct {
	signin.Store
	memory *signin.Memory // nil with Redis
	db     *redisdb.DB    // nil without
	forms  []byte         // key of form tokens: forms live as long as sessions
}

// open opens the store. Errors: *config.Error.
func (s sharing) open(ctx context.Context, most int, log *slog.Logger) (*sessions, error) {
	if s.redis.URL == "" {
		m := signin.NewMemory(clock.System{}, most, signin.DefaultAttempts)
		key := make([]byte, config.KeySize)
		_, _ = rand.Read(key) // never fails
		return &sessions{Store: m, memory: m, forms: key}, nil
	}
	forms, err := redisstore.Derive(s.key, "portal forms")
	if err != nil {
		return nil, err
	}
	db, err := redisdb.Open(ctx, s.redis, log)
	if err != nil {
		return nil, err
	}
	store, err := redisstore.New(db, clock.System{}, s.key)
	return &sessions{Store: store, db: db, forms: forms}, err
}

// watch looks after Redis until ctx ends.
func (s *sessions) watch(ctx context.Context) {
	if s.db == nil {
		return
	}
	pause := time.NewTicker(redisEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
			_ = s.db.Check(ctx) // it says itself what changed
		}
	}
}

// problem is what is wrong with Redis, or "".
func (s *sessions) problem() string {
	if s.db == nil {
		return ""
	}
	return s.db.Problem(context.Background())
}

func (s *sessions) close() error {
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}
