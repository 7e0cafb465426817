package redisstore

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/rate"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/store/redisstore/redisdb"
)

// Prefix begins every key: an access list needs ~portal:*.
const Prefix = "portal:"

const (
	kindSession = "session"
	kindAttempt = "attempt"
	kindRenewal = "renewal"
	kindCount   = "count"
)

// Store is a signin.Store in Redis. It is safe for concurrent use.
type Store struct {
	RateClock clock.Clock // counts rates in place of Redis's own, if it is not nil

	db     *redisdb.DB
	clock  clock.Clock
	aead   cipher.AEAD
	naming []byte
}

var _ signin.Store = (*Store)(nil)

// New returns a store over a connection. key has 256 bits and is the same in all replicas.
func New(db *redisdb.DB, c clock.Clock, key []byte) (*Store, error) {
	sealing, err := Derive(key, "portal sessions: values")
	if err != nil {
		return nil, err
	}
	naming, err := Derive(key, "portal sessions: keys")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Store{db: db, clock: c, aead: aead, naming: naming}, err
}

// Derive returns a key of 256 bits for one purpose.
func Derive(key []byte, purpose string) ([]byte, error) {
	if len(key) != sha256.Size {
		return nil, errors.New("redisstore: the session key is of a wrong length")
	}
	return hkdf.Key(sha256.New, key, nil, purpose, sha256.Size)
}

// key is what something is called in Redis.
func (s *Store) key(kind string, k signin.Key) string {
	m := hmac.New(sha256.New, s.naming)
	_, _ = m.Write([]byte(kind + "\x00"))
	_, _ = m.Write(k[:])
	return Prefix + kind + ":" + base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

// seal seals a session, whose JSON plain is, and says how long it may be kept.
func (s *Store) seal(name string, v signin.Session, plain []byte) (sealed []byte, ttl time.Duration) {
	return s.aead.Seal(nil, nil, plain, []byte(name)), max(end(v).Sub(s.clock.Now()), time.Millisecond) //nolint:gosec // it makes a nonce itself
}

// end is until when a session is kept: after its own end it says for a while whose it was.
func end(v signin.Session) time.Time {
	idle, whole := v.LastSeen.Add(signin.IdleTimeout), v.CreatedAt.Add(signin.AbsoluteTimeout)
	if whole.Before(idle) {
		idle = whole
	}
	return idle.Add(signin.AttemptLifetime)
}

// open opens what seal made. Something else under its key is no session. Errors: ErrNoSession.
func (s *Store) open(name string, sealed []byte) (v signin.Session, err error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(name))
	if err == nil {
		err = json.Unmarshal(plain, &v)
	}
	if err != nil {
		return signin.Session{}, signin.ErrNoSession.Because(err)
	}
	if !s.clock.Now().Before(end(v)) {
		return signin.Session{}, signin.ErrNoSession
	}
	return v, nil
}

// AddSession implements signin.Store.
func (s *Store) AddSession(ctx context.Context, k signin.Key, v signin.Session) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	name := s.key(kindSession, k)
	sealed, ttl := s.seal(name, v, plain)
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	return redisdb.Fault(s.db.Set(ctx, name, sealed, ttl).Err())
}

// Session implements signin.Store.
func (s *Store) Session(ctx context.Context, k signin.Key) (signin.Session, error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	v, _, err := s.read(ctx, s.key(kindSession, k))
	return v, err
}

// read returns a session with the bytes that it was sealed to.
func (s *Store) read(ctx context.Context, name string) (v signin.Session, sealed []byte, err error) {
	sealed, err = s.db.Get(ctx, name).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return v, nil, signin.ErrNoSession
	case err != nil:
		return v, nil, redisdb.Fault(err)
	}
	v, err = s.open(name, sealed)
	return v, sealed, err
}

// replace puts a value in the place of the one that was read, if that is still there. Each sealed value has a nonce of its own:
// the same bytes are the same write, whose answer was lost.
var replace = redis.NewScript(`
local there = redis.call('GET', KEYS[1])
if there == ARGV[2] then return 1 end
if there ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

// UpdateSession implements signin.Store. What changes nothing is not written: requests that come at once do not chase each
// other around.
func (s *Store) UpdateSession(ctx context.Context, k signin.Key, change func(*signin.Session)) (signin.Session, error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	name := s.key(kindSession, k)
	for {
		v, old, err := s.read(ctx, name)
		if err != nil {
			return signin.Session{}, err
		}
		before, err := json.Marshal(v)
		if err != nil {
			return signin.Session{}, err
		}
		change(&v)
		after, err := json.Marshal(v)
		if err != nil || bytes.Equal(before, after) {
			return v, err
		}
		sealed, ttl := s.seal(name, v, after)
		done, err := replace.Run(ctx, s.db, []string{name}, old, sealed, ttl.Milliseconds()).Bool()
		if err != nil {
			return signin.Session{}, redisdb.Fault(err)
		}
		if done {
			return v, nil
		}
	}
}

// ended begins what stands in the place of a session that has ended: nothing that was sealed opens with it before.
const ended = "ended\x00"

// endSession puts the mark before a session, once, and returns the session. Whoever asks again, because the answer was lost,
// gets the same answer.
var endSession = redis.NewScript(`
local there = redis.call('GET', KEYS[1])
if not there then return false end
if string.sub(there, 1, #ARGV[1]) == ARGV[1] then return string.sub(there, #ARGV[1] + 1) end
redis.call('SET', KEYS[1], ARGV[1] .. there, 'PX', ARGV[2])
return there`)

// EndSession implements signin.Store.
func (s *Store) EndSession(ctx context.Context, k signin.Key) (signin.Session, error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	name := s.key(kindSession, k)
	text, err := endSession.Run(ctx, s.db, []string{name}, ended, signin.EndedFor.Milliseconds()).Text()
	sealed := []byte(text)
	switch {
	case errors.Is(err, redis.Nil):
		return signin.Session{}, signin.ErrNoSession
	case err != nil:
		return signin.Session{}, redisdb.Fault(err)
	}
	return s.open(name, sealed)
}

// take sets a key to a value of the caller's own if nobody has it. The same value again is the same call, whose answer was lost.
var take = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0`)

func (s *Store) take(ctx context.Context, name, mine string, ttl time.Duration) (bool, error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	ok, err := take.Run(ctx, s.db, []string{name}, mine, ttl.Milliseconds()).Bool()
	return ok, redisdb.Fault(err)
}

// SpendAttempt implements signin.Store.
func (s *Store) SpendAttempt(ctx context.Context, k signin.Key) error {
	ok, err := s.take(ctx, s.key(kindAttempt, k), ident.New("spn"), signin.AttemptLifetime)
	if err == nil && !ok {
		return signin.ErrAttemptUnknown
	}
	return err
}

// Count implements signin.Store.
func (s *Store) Count(ctx context.Context, k signin.Key, limit rate.Limit) (time.Duration, error) {
	ctx, cancel := redisdb.Within(ctx)
	defer cancel()
	wait, err := redisdb.Take(ctx, s.db, s.key(kindCount, k), limit, s.RateClock)
	return wait, redisdb.Fault(err)
}

// giveBack deletes a key that has the caller's value.
var giveBack = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// HoldRenewal implements signin.Store.
func (s *Store) HoldRenewal(ctx context.Context, k signin.Key) (release func(), ok bool, err error) {
	name, mine := s.key(kindRenewal, k), ident.New("rnw")
	if ok, err = s.take(ctx, name, mine, signin.RenewalLease); err != nil || !ok {
		return nil, false, err
	}
	return func() {
		ctx, cancel := redisdb.Within(context.WithoutCancel(ctx))
		defer cancel()
		_ = giveBack.Run(ctx, s.db, []string{name}, mine).Err() // what is not given back ends by itself
	}, true, nil
}
