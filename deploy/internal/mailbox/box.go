package mailbox

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a box keeps at most; beyond it the oldest mails go.
const (
	maxMails = 500
	maxBytes = 16 << 20
)

// Box keeps the newest mails in memory. It is safe for concurrent use.
type Box struct {
	now func() time.Time

	mu    sync.RWMutex
	last  int
	bytes int
	mails []Mail // oldest first
}

// New returns an empty box. now tells the time at which mails come.
func New(now func() time.Time) *Box { return &Box{now: now} }

// Mails lists what is there, newest first: everything, or what came to one address (in any case of its letters).
func (b *Box) Mails(to string) []Mail {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := []Mail{}
	for i := len(b.mails) - 1; i >= 0; i-- {
		if to == "" || strings.EqualFold(to, b.mails[i].To) {
			out = append(out, b.mails[i])
		}
	}
	return out
}

// Mail returns the one with an id.
func (b *Box) Mail(id string) (Mail, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, m := range b.mails {
		if m.ID == id {
			return m, true
		}
	}
	return Mail{}, false
}

// put adds a copy of m for each recipient.
func (b *Box) put(m Mail, recipients []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.At = b.now().UTC()
	for _, to := range recipients {
		b.last++
		m.ID, m.To = strconv.Itoa(b.last), to
		b.mails = append(b.mails, m)
		b.bytes += m.size()
	}
	for len(b.mails) > maxMails || (b.bytes > maxBytes && len(b.mails) > 1) {
		b.bytes -= b.mails[0].size()
		b.mails = b.mails[1:]
	}
}
