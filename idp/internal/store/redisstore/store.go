package redisstore

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/throttle"
)

// Prefix begins every key: an access list needs ~idp:*.
const Prefix = "idp:"

const keySize = 18 // bytes of a MAC in a key

// Options are what a store needs. Key and Local are required.
type Options struct {
	// Key is a secret of 256 bits that all replicas share, and nobody else.
	Key   []byte
	Clock clock.Clock
	// Local counts what passes through this process, and decides about rates alone while Redis does not answer.
	Local throttle.Rates
	// RateClock is what rates go by. Nil: Redis's own clock, so that replicas whose clocks differ count alike: one whose clock
	// is a minute ahead would otherwise hold everybody up at the others, and one that is behind let everybody through.
	RateClock clock.Clock
	// Observe is told of every operation that Redis did not carry out; nil: nobody is.
	Observe func(what string)
}

// Store keeps values for a time in Redis. It is safe for concurrent use.
type Store struct {
	grant.Codes
	Options
	db      *redisdb.DB
	sealer  *seal.Sealer
	naming  []byte
	resting resting
}

// New returns a store over a connection.
func New(db *redisdb.DB, o Options) (*Store, error) {
	if len(o.Key) < sha256.Size || o.Local == nil || o.Clock == nil {
		return nil, errors.New("redisstore: an option is missing")
	}
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	sealing, err := hkdf.Key(sha256.New, o.Key, nil, "redis values", seal.KeySize)
	if err != nil {
		return nil, err
	}
	naming, err := hkdf.Key(sha256.New, o.Key, nil, "redis keys", sha256.Size)
	if err != nil {
		return nil, err
	}
	sealer, err := seal.New(sealing)
	s := &Store{Options: o, db: db, sealer: sealer, naming: naming}
	s.Codes = grant.NewCodes(s, o.Clock)
	return s, err
}

// mac stands for a kind and an id. What people send and where they come from is not told to Redis.
func (s *Store) mac(kind, id string) []byte {
	m := hmac.New(sha256.New, s.naming)
	_, _ = m.Write([]byte(owner(kind, id)))
	return m.Sum(nil)[:keySize]
}

func (s *Store) key(kind, id string) string {
	return Prefix + kind + ":" + base64.RawURLEncoding.EncodeToString(s.mac(kind, id))
}

// owner is what a sealed value is bound to.
func owner(kind, id string) string { return kind + "\x00" + id }

// pack seals a value with its end.
func (s *Store) pack(kind, id string, value []byte, end time.Time) ([]byte, error) {
	return s.sealer.Seal(append(binary.BigEndian.AppendUint64(nil, uint64(end.UnixMicro())), value...), owner(kind, id))
}

// unpack opens a value that has not ended. One that this provider never sealed for its key is none.
func (s *Store) unpack(kind, id string, sealed []byte) (value []byte, ok bool) {
	plain, err := s.sealer.Open(sealed, owner(kind, id))
	if err != nil || len(plain) < 8 {
		s.Observe("unreadable")
		return nil, false
	}
	if end := time.UnixMicro(int64(binary.BigEndian.Uint64(plain))); !s.Clock.Now().Before(end) {
		return nil, false
	}
	return plain[8:], true
}

// fault is an error of Redis as a fault.
func (s *Store) fault(what string, err error) error {
	if err != nil {
		s.Observe(what)
	}
	return redisdb.Fault(err)
}

// Put stores value under kind and key for ttl, in place of what was there. Errors: Unavailable.
func (s *Store) Put(ctx context.Context, kind, id string, value []byte, ttl time.Duration) error {
	sealed, err := s.pack(kind, id, value, s.Clock.Now().Add(ttl))
	if err != nil {
		return err
	}
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	return s.fault("put", s.db.Set(ctx, s.key(kind, id), sealed, max(ttl, time.Millisecond)).Err())
}

// Get returns the value under kind and key, and whether there is one that has not expired. Errors: Unavailable.
func (s *Store) Get(ctx context.Context, kind, id string) (value []byte, ok bool, err error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	sealed, err := s.db.Get(ctx, s.key(kind, id)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, false, nil
	case err != nil:
		return nil, false, s.fault("get", err)
	}
	value, ok = s.unpack(kind, id, sealed)
	return value, ok, nil
}

// Delete forgets kind and key. It is no error if there is nothing. Errors: Unavailable.
func (s *Store) Delete(ctx context.Context, kind, id string) error {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	return s.fault("delete", s.db.Del(ctx, s.key(kind, id)).Err())
}
