package feed

import (
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/caseservice/internal/clock"
)

// MaxTokenLife is how long an access token may live. The issuer tells whoever begins to follow of the last ten minutes, and
// keep counts on it too: a longer life would outlive the memory of its revocation.
const MaxTokenLife = 5 * time.Minute

const (
	// keep is how long it is remembered what an event voids: no token can be alive by then that was issued before it, by a
	// clock that is as wrong as clocks may be.
	keep = MaxTokenLife + clock.Skew + time.Minute
	// maxKept bounds the memory: about 20 MB. A restore or a flood may ask for more; then the feed is done without.
	maxKept = 100_000
	shards  = 1024
)

// name is a member of tokens with one of its values.
type name struct {
	kind kind
	id   string
}

// entry is what is void: the tokens that were issued until a second.
type entry struct {
	issued int64
	until  time.Time // when it may be forgotten; zero: never
}

// queued is an entry as it was when it came into the queue. One that was renewed since has a later place, too.
type queued struct {
	name
	until time.Time
}

// revoked is the set of what is void. Looking it up takes no lock: each shard is a map that is never changed, only replaced.
// A batch of events replaces the few shards that they fall into.
type revoked struct {
	seed  maphash.Seed
	shard [shards]atomic.Pointer[map[name]entry]
	epoch atomic.Int64 // tokens issued until this second are void, whatever they are

	mu    sync.Mutex   // of whoever changes it
	n     atomic.Int64 // places in the queue, and keys
	limit int64
	queue []queued // in the order in which they may be forgotten
}

func newRevoked(limit int64) *revoked {
	s := &revoked{seed: maphash.MakeSeed(), limit: limit}
	s.epoch.Store(math.MinInt64)
	return s
}

// voids reports whether the token is void by anything that is known.
func (s *revoked) voids(t *Token) bool {
	return t.Issued <= s.epoch.Load() || s.n.Load() > 0 &&
		(s.has(tokens, t.JTI, t.Issued) || s.has(sessions, t.SID, t.Issued) || s.has(grants, t.Txn, t.Issued) ||
			s.has(accounts, t.Sub, t.account()) || s.has(keys, t.KID, t.Issued))
}

// account returns the second that counts against events of accounts. A person's grants are told of by themselves. A
// machine's token rests on its client alone: one that another replica of the issuer made just before, by a clock that was
// ahead, is void too.
func (t *Token) account() int64 {
	if t.Machine {
		return t.Issued - int64(clock.Skew/time.Second)
	}
	return t.Issued
}

func (s *revoked) at(id string) *atomic.Pointer[map[name]entry] {
	return &s.shard[maphash.String(s.seed, id)%shards]
}

func (s *revoked) has(k kind, id string, issued int64) bool {
	m := s.at(id).Load()
	if m == nil {
		return false
	}
	e, ok := (*m)[name{k, id}]
	return ok && issued <= e.issued
}

// add makes events known, and reports whether all of them could be kept.
func (s *revoked) add(events []event, now time.Time) (all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, all := draft{}, true
	for _, e := range events {
		switch e.kind {
		case unknown:
			all = false
		case epochs:
			s.epoch.Store(max(s.epoch.Load(), e.at))
		default:
			all = s.put(d, e, now) && all
		}
	}
	d.publish()
	return all
}

// put keeps one event in a draft. One that says nothing new changes nothing.
func (s *revoked) put(d draft, e event, now time.Time) bool {
	what, next := name{e.kind, e.id}, entry{issued: math.MaxInt64, until: now.Add(keep)}
	switch e.kind {
	case accounts:
		next.issued = e.at
	case keys: // who has copied one signs tokens of any age
		next.until = time.Time{}
	}
	at := s.at(e.id)
	if old, there := (*d.seen(at))[what]; there && old.issued >= next.issued {
		return true
	}
	if s.n.Load() >= s.limit {
		return false
	}
	s.n.Add(1)
	if e.kind != keys {
		s.queue = append(s.queue, queued{what, next.until})
	}
	d.of(at)[what] = next
	return true
}

// forget removes what voids nothing any more.
func (s *revoked) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := draft{}
	for len(s.queue) > 0 && !now.Before(s.queue[0].until) {
		first := s.queue[0]
		s.queue = s.queue[1:]
		s.n.Add(-1)
		if at := s.at(first.id); (*d.seen(at))[first.name].until.Equal(first.until) {
			delete(d.of(at), first.name)
		}
	}
	d.publish()
}

// draft holds the shards that are about to be replaced.
type draft map[*atomic.Pointer[map[name]entry]]map[name]entry

// of returns a shard that may be changed.
func (d draft) of(at *atomic.Pointer[map[name]entry]) map[name]entry {
	m, ok := d[at]
	if !ok {
		if m = maps.Clone(*d.seen(at)); m == nil {
			m = map[name]entry{}
		}
		d[at] = m
	}
	return m
}

// seen returns a shard to read: as the draft has it, else as everybody sees it.
func (d draft) seen(at *atomic.Pointer[map[name]entry]) *map[name]entry {
	if m, ok := d[at]; ok {
		return &m
	}
	if m := at.Load(); m != nil {
		return m
	}
	return &map[name]entry{}
}

// publish lets everybody see the draft.
func (d draft) publish() {
	for at, m := range d {
		at.Store(&m)
	}
}
