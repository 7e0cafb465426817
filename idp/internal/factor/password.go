package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"ellis.example/idp/internal/argon"
	"ellis.example/idp/internal/fault"
)

// MaxPassword is the longest password that is looked at, in bytes.
const MaxPassword = 1024

// Params is the cost of a password hash (RFC 9106 §3.1).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32
	Threads uint8
}

// DefaultParams take about 20 ms of one core and 19 MiB.
var DefaultParams = Params{Memory: 19 * 1024, Time: 2, Threads: 1}

// The bounds of what a stored record may ask for: a record cannot make us spend what we never meant to.
const (
	maxMemory = 1 << 20 // KiB
	maxTime   = 64
)

const (
	saltLen = 16
	hashLen = 32
)

// Faults of hashing.
var (
	ErrTooLong = fault.New(fault.Invalid, "password_too_long", "use at most 1024 bytes").At("password")
	ErrBusy    = fault.New(fault.Unavailable, "signin_busy", "too many people sign in at this moment; try again in a few seconds").After(2 * time.Second)
	errRecord  = errors.New("password record cannot be read")
)

// Passwords hashes and verifies passwords with argon2id, at most as many at a time as there are cores: more would only
// make each slower and fill the memory.
type Passwords struct {
	params Params
	argon  *argon.Deriver
	pepper []byte
	keyID  string
	slots  chan struct{}
	queued atomic.Int64
	busy   atomic.Int64 // how many were refused because the queue was full
	limit  int64
	nobody string
}

// NewPasswords returns a hasher. pepper (256 bits) is kept outside the database, so that a copy of that alone cannot be
// guessed at.
func NewPasswords(pepper []byte, p Params) *Passwords {
	id := sha256.Sum256(append([]byte("pepper id "), pepper...))
	cores := runtime.GOMAXPROCS(0)
	h := &Passwords{params: p, argon: argon.New(p.Memory), pepper: pepper, keyID: hex.EncodeToString(id[:4]), slots: make(chan struct{}, cores), limit: int64(cores) * 16}
	h.nobody = h.record(p, make([]byte, saltLen), make([]byte, hashLen))
	return h
}

// Queue returns how many passwords are hashed or wait for it, and how many were refused because too many did.
func (h *Passwords) Queue() (now, refused int64) { return h.queued.Load(), h.busy.Load() }

// Trim gives back memory that no password was hashed in since the last Trim.
func (h *Passwords) Trim() error { return h.argon.Trim() }

// Hash returns the record of a password. Errors: ErrTooLong; ErrBusy when the queue is full; the context's.
func (h *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxPassword {
		return "", ErrTooLong
	}
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:]) // never fails
	sum, err := h.derive(ctx, password, salt[:], h.params)
	if err != nil {
		return "", err
	}
	return h.record(h.params, salt[:], sum), nil
}

// Verify reports whether password is the one of record. An empty record is that of nobody: it takes the same time and is
// never right. So does a record that was made with less than today's cost: the time tells neither who has an account nor
// who did not sign in since. stale says that the record was made with another cost than today's. Errors: ErrTooLong, ErrBusy, the context's.
func (h *Passwords) Verify(ctx context.Context, record, password string) (ok, stale bool, err error) {
	if len(password) > MaxPassword {
		return false, false, ErrTooLong
	}
	there := record != ""
	if !there {
		record = h.nobody
	}
	r, err := parseRecord(record)
	if err != nil {
		return false, false, err
	}
	if r.keyID != h.keyID {
		return false, false, fmt.Errorf("password record was made with pepper %s, this process has %s: give it that pepper", r.keyID, h.keyID)
	}
	sum, err := h.derive(ctx, password, r.salt, r.params)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(sum, r.hash) == 1
	return same && there, r.params != h.params, nil
}

// derive waits for a free core and hashes. One code point typed in two ways is one password: NFKC comes first
// (NIST SP 800-63B-4 §3.1.1.2). It never takes less than today's cost.
func (h *Passwords) derive(ctx context.Context, password string, salt []byte, p Params) ([]byte, error) {
	if h.queued.Add(1) > h.limit {
		h.queued.Add(-1)
		h.busy.Add(1)
		return nil, ErrBusy
	}
	defer h.queued.Add(-1)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	m := hmac.New(sha256.New, h.pepper)
	_, _ = m.Write(norm.NFKC.Bytes([]byte(password)))
	key := m.Sum(nil)
	sum := h.argon.Key(key, salt, p.Time, p.Memory, p.Threads, hashLen)
	if rest := h.params.beyond(p); rest.Memory > 0 {
		_ = h.argon.Key(key, salt, rest.Time, rest.Memory, rest.Threads, hashLen)
	}
	return sum, nil
}

// work is what a derivation fills, in KiB: time and memory traffic grow with it.
func (p Params) work() uint64 { return uint64(p.Memory) * uint64(p.Time) }

// beyond returns what makes up the work of p for who has done that of q; zero if q is as much.
func (p Params) beyond(q Params) Params {
	if p.work() <= q.work() {
		return Params{}
	}
	return Params{Memory: uint32((p.work() - q.work()) / uint64(p.Time)), Time: p.Time, Threads: p.Threads}
}

type parsed struct {
	params     Params
	keyID      string
	salt, hash []byte
}

func (h *Passwords) record(p Params, salt, sum []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d,keyid=%s$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads, h.keyID, b64(salt), b64(sum))
}

// parseRecord reads a record in the PHC string format.
func parseRecord(s string) (parsed, error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return parsed{}, errRecord
	}
	costs := strings.Split(f[3], ",")
	if len(costs) != 4 {
		return parsed{}, errRecord
	}
	m, ok1 := cost(costs[0], "m=", maxMemory)
	t, ok2 := cost(costs[1], "t=", maxTime)
	p, ok3 := cost(costs[2], "p=", 255)
	keyID, ok4 := strings.CutPrefix(costs[3], "keyid=")
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(f[4])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(f[5])
	if !ok1 || !ok2 || !ok3 || !ok4 || err1 != nil || err2 != nil || len(salt) != saltLen || len(sum) != hashLen {
		return parsed{}, errRecord
	}
	return parsed{params: Params{Memory: m, Time: t, Threads: uint8(p)}, keyID: keyID, salt: salt, hash: sum}, nil
}

func cost(s, prefix string, limit uint32) (uint32, bool) {
	v, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(v, 10, 32)
	return uint32(n), ok && err == nil && n > 0 && uint32(n) <= limit
}
