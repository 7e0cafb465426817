package memstore

import (
	"container/list"
	"sync"
	"time"
)

// table is one bounded map. What is firm stays until it expires; what is not makes room for others, oldest first.
type table struct{ sh [shards]shard }

// shard is a part of a table with its share of the budget.
type shard struct {
	mu     sync.Mutex
	m      map[string]*entry
	bound  budget
	firm   line
	loose  line
	yields bool // firm entries make room for each other beyond their share
	// sweepAt is when the shard is next worth looking through for expired entries.
	sweepAt time.Time
}

// line is entries in the order in which they came.
type line struct {
	list.List
	bytes int
}

type entry struct {
	key     string
	value   []byte
	version int64 // of a flow
	expires time.Time
	firm    bool
	at      *list.Element // its place in its line
}

func (e *entry) cost() int { return overhead + len(e.key) + len(e.value) }

func newTable(b budget, yields bool) *table {
	t := &table{}
	for i := range t.sh {
		t.sh[i].m, t.sh[i].bound = map[string]*entry{}, budget{b.entries / shards, b.bytes / shards}
		t.sh[i].yields = yields
	}
	return t
}

func (sh *shard) line(e *entry) *line {
	if e.firm {
		return &sh.firm
	}
	return &sh.loose
}

func (sh *shard) add(e *entry) {
	l := sh.line(e)
	sh.m[e.key], e.at = e, l.PushBack(e)
	l.bytes += e.cost()
}

func (sh *shard) remove(e *entry) {
	l := sh.line(e)
	l.Remove(e.at)
	l.bytes -= e.cost()
	delete(sh.m, e.key)
}

// put stores e in place of what has its key, which is not changed when there is no room; the shard is locked. A new version
// keeps the place of a loose entry in its line. Expired entries are collected at most once a second.
func (sh *shard) put(e *entry, now time.Time) error {
	if d := sh.sweepAt.Sub(now); d < 0 || d > time.Second {
		sh.sweep(now)
	}
	old := sh.m[e.key]
	if !sh.room(e, old) {
		return errFull
	}
	if old != nil && !old.firm && !e.firm {
		sh.loose.bytes += e.cost() - old.cost()
		sh.m[e.key], e.at, old.at.Value = e, old.at, e
		return nil
	}
	if old != nil {
		sh.remove(old)
	}
	sh.add(e)
	return nil
}

// room makes room for e in place of old, which may be nil, and reports whether there is some.
func (sh *shard) room(e, old *entry) bool {
	if e.firm && sh.yields { // so that those who may sign in leave some room for those who want to
		most := budget{sh.bound.entries / 4 * 3, sh.bound.bytes / 4 * 3}
		for !fits(most, sh.firm.Len(), sh.firm.bytes, e, firmOf(old)) && sh.drop(&sh.firm, old) {
			continue
		}
	}
	for !fits(sh.bound, len(sh.m), sh.firm.bytes+sh.loose.bytes, e, old) {
		if !sh.drop(&sh.loose, old) && (!sh.yields || !sh.drop(&sh.firm, old)) {
			return false
		}
	}
	return true
}

func firmOf(e *entry) *entry {
	if e == nil || !e.firm {
		return nil
	}
	return e
}

// fits reports whether n entries of some bytes stay within b when e replaces old.
func fits(b budget, n, bytes int, e, old *entry) bool {
	n, bytes = n+1, bytes+e.cost()
	if old != nil {
		n, bytes = n-1, bytes-old.cost()
	}
	return n <= b.entries && bytes <= b.bytes
}

// drop gives up the oldest of a line but one, and reports whether there was any.
func (sh *shard) drop(l *line, but *entry) bool {
	first := l.Front()
	if first != nil && first.Value.(*entry) == but {
		first = first.Next()
	}
	if first == nil {
		return false
	}
	sh.remove(first.Value.(*entry))
	return true
}

func (sh *shard) sweep(now time.Time) {
	sh.sweepAt = now.Add(time.Second)
	for _, e := range sh.m {
		if !now.Before(e.expires) {
			sh.remove(e)
		}
	}
}
