package grant

import (
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/ident"
)

// Lifetimes of a refresh family (RFC 9700 §4.14.2 asks for an end after inactivity; ASVS 10.4.8 for an absolute one).
const (
	IdleLifetime     = 14 * 24 * time.Hour
	AbsoluteLifetime = 30 * 24 * time.Hour
)

// RetryWindow is how long after its use a refresh token still yields the same successor, for a client that lost the answer.
// It reaches as far back, because the clock may have been set back meanwhile, or be another replica's: that is no theft.
const RetryWindow = 10 * time.Second

// New returns a family of a grant that begins at now.
func New(grant, client string, now time.Time) Family {
	return Family{ID: ident.InOrder("fam"), Grant: grant, Client: client, CreatedAt: now, UsedAt: now, ExpiresAt: now.Add(AbsoluteLifetime)}
}

// Stands reports whether tokens may be issued under the grant.
func (g Grant) Stands() bool { return g.Revoked.IsZero() }

// Ends is when the family ends if nobody uses it again.
func (f Family) Ends() time.Time {
	if idle := f.UsedAt.Add(IdleLifetime); idle.Before(f.ExpiresAt) {
		return idle
	}
	return f.ExpiresAt
}

// Stands reports whether the family may still be used at now. One that a wrong clock began in the future waits for it.
func (f Family) Stands(now time.Time) bool {
	return f.Revoked.IsZero() && now.Before(f.Ends()) && !clock.Future(f.CreatedAt, now)
}

// Live reports whether the token is the leaf of its family.
func (r Refresh) Live() bool { return r.UsedAt.IsZero() }

// MayRetry reports whether a used token, presented again at now, may be answered with its successor once more: within the
// window, for the same request, while nobody has used the successor. Everything else is reuse. scope is that of the request,
// sorted, as it was handed to Rotate.
func (r Refresh) MayRetry(successor Refresh, scope, resource string, now time.Time) bool {
	since := now.Sub(r.UsedAt)
	return !r.Live() && successor.Hash == r.Child && successor.Live() && len(r.Sealed) > 0 &&
		since >= -RetryWindow && since <= RetryWindow && r.Scope == scope && r.Resource == resource
}
