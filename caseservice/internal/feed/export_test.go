package feed

import (
	"time"

	"ellis.example/caseservice/internal/issuer"
)

// Keep is how long a revocation is remembered, PassAfter how long a SET may be bad.
const (
	Keep      = keep
	PassAfter = passAfter
)

// Bound makes a feed keep no more than n revocations.
func (f *Feed) Bound(n int64) {
	f.revoked.mu.Lock()
	defer f.revoked.mu.Unlock()
	f.revoked.limit = n
}

// Waiting returns how many tokens are asked about or remembered.
func (f *Feed) Waiting() int {
	f.asks.mu.Lock()
	defer f.asks.mu.Unlock()
	return len(f.asks.answers)
}

// Read reads a SET, and says whether an event came out of it.
func (f *Feed) Read(text, jti string) (issuer.JWS, error) {
	jws, _, err := f.read(text, jti)
	return jws, err
}

// Heard says that the view is complete now.
func (f *Feed) Heard() {
	now := f.clock.Now()
	f.heard.Store(&now)
}

// Fill revokes grants with these identifiers.
func (f *Feed) Fill(ids []string, now time.Time) {
	events := make([]event, 0, len(ids))
	for _, id := range ids {
		events = append(events, event{kind: grants, id: id})
	}
	f.revoked.add(events, now)
}
