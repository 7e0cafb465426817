package signin

import (
	"container/list"
	"context"
	"sync"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/rate"
)

// Bounds of Memory where its user says nothing. A session holds about 4 KiB, a used attempt about 200 bytes.
const (
	DefaultSessions = 10_000
	DefaultAttempts = 10_000
	maxCounts       = 50_000 // networks, about 150 bytes each
)

// Memory is a Store in this process. It holds a bounded number of entries: where room is needed, the session that was
// used longest ago makes way, whose owner has to sign in again, and the attempt that was used first.
type Memory struct {
	clock clock.Clock

	mu       sync.Mutex
	sessions shelf[Session]
	attempts shelf[time.Time]
	counts   shelf[time.Time]   // when what was counted is worth no time any more
	renewals map[Key]*time.Time // until when
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store for at most so many sessions and attempts.
func NewMemory(c clock.Clock, sessions, attempts int) *Memory {
	return &Memory{clock: c, sessions: newShelf[Session](sessions), attempts: newShelf[time.Time](attempts), counts: newShelf[time.Time](maxCounts), renewals: map[Key]*time.Time{}}
}

// AddSession implements Store.
func (m *Memory) AddSession(_ context.Context, k Key, s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	// one that ended says for a while whose it was: that person may come back to it
	m.sessions.drop(func(old Session) bool { return !old.Alive(now.Add(-AttemptLifetime)) })
	m.sessions.put(k, s)
	return nil
}

// Session implements Store.
func (m *Memory) Session(_ context.Context, k Key) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions.get(k)
	if !ok {
		return Session{}, ErrNoSession
	}
	return s, nil
}

// UpdateSession implements Store.
func (m *Memory) UpdateSession(_ context.Context, k Key, change func(*Session)) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions.get(k)
	if !ok {
		return Session{}, ErrNoSession
	}
	seen := s.LastSeen
	change(&s)
	m.sessions.set(k, s, !s.LastSeen.Equal(seen))
	return s, nil
}

// EndSession implements Store.
func (m *Memory) EndSession(_ context.Context, k Key) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions.take(k)
	if !ok {
		return Session{}, ErrNoSession
	}
	return s, nil
}

// SpendAttempt implements Store.
func (m *Memory) SpendAttempt(_ context.Context, k Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	m.attempts.drop(func(at time.Time) bool { return !now.Before(at.Add(AttemptLifetime)) })
	if _, used := m.attempts.get(k); used {
		return ErrAttemptUnknown
	}
	m.attempts.put(k, now)
	return nil
}

// Count implements Store. Where room is needed, what was counted longest ago makes way.
func (m *Memory) Count(_ context.Context, k Key, limit rate.Limit) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, there := m.counts.get(k)
	next, wait := limit.Take(at, m.clock.Now())
	switch {
	case wait > 0:
	case there:
		m.counts.set(k, next, true)
	default:
		m.counts.put(k, next)
	}
	return wait, nil
}

// HoldRenewal implements Store.
func (m *Memory) HoldRenewal(_ context.Context, k Key) (release func(), ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	if held := m.renewals[k]; held != nil && now.Before(*held) {
		return nil, false, nil
	}
	until := now.Add(RenewalLease)
	mine := &until
	m.renewals[k] = mine
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.renewals[k] == mine {
			delete(m.renewals, k)
		}
	}, true, nil
}

// Len returns how many sessions and used attempts are kept, for metrics.
func (m *Memory) Len() (sessions, attempts int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sessions.byKey), len(m.attempts.byKey)
}

// shelf is a bounded map that knows which entry was used longest ago: the front of the list.
type shelf[V any] struct {
	limit int
	byKey map[Key]*list.Element
	order *list.List
}

type entry[V any] struct {
	key   Key
	value V
}

func newShelf[V any](limit int) shelf[V] {
	return shelf[V]{limit, map[Key]*list.Element{}, list.New()}
}

func (s *shelf[V]) put(k Key, v V) {
	for len(s.byKey) >= s.limit {
		s.remove(s.order.Front())
	}
	s.byKey[k] = s.order.PushBack(&entry[V]{k, v})
}

func (s *shelf[V]) get(k Key) (v V, ok bool) {
	if e, ok := s.byKey[k]; ok {
		return e.Value.(*entry[V]).value, true
	}
	return v, false
}

// set replaces a value that is there; used moves it to the end of the line.
func (s *shelf[V]) set(k Key, v V, used bool) {
	e := s.byKey[k]
	e.Value.(*entry[V]).value = v
	if used {
		s.order.MoveToBack(e)
	}
}

func (s *shelf[V]) take(k Key) (v V, ok bool) {
	e, ok := s.byKey[k]
	if !ok {
		return v, false
	}
	v = e.Value.(*entry[V]).value
	s.remove(e)
	return v, true
}

// drop removes entries from the front for as long as they are dead.
func (s *shelf[V]) drop(dead func(V) bool) {
	for e := s.order.Front(); e != nil && dead(e.Value.(*entry[V]).value); e = s.order.Front() {
		s.remove(e)
	}
}

func (s *shelf[V]) remove(e *list.Element) {
	delete(s.byKey, e.Value.(*entry[V]).key)
	s.order.Remove(e)
}
