package grant_test

import (
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestFamily_EndsIdleAbsoluteOrRevoked(t *testing.T) {
	t.Parallel()
	f := grant.New("grt_1", "portal", now)
	if !ident.Valid("fam", f.ID) || f.Grant != "grt_1" || f.Client != "portal" {
		t.Fatalf("got %+v", f)
	}
	used := f
	used.UsedAt = now.Add(28 * 24 * time.Hour)
	revoked := f
	revoked.Revoked = now
	for name, c := range map[string]struct {
		f    grant.Family
		at   time.Duration
		want bool
	}{
		"new":                       {f, 0, true},
		"just before idle":          {f, grant.IdleLifetime - 1, true},
		"idle":                      {f, grant.IdleLifetime, false},
		"used lately":               {used, grant.AbsoluteLifetime - 1, true},
		"used lately, but very old": {used, grant.AbsoluteLifetime, false},
		"revoked":                   {revoked, 0, false},
		"clock set back a little":   {f, -clock.Skew, true},
		"begun in the future":       {f, -clock.Skew - 1, false},
	} {
		if got := c.f.Stands(now.Add(c.at)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFamily_EndsIsTheFirstInstantAtWhichItNoLongerStands(t *testing.T) {
	t.Parallel()
	f := grant.New("grt_1", "portal", now)
	for used, want := range map[time.Duration]time.Duration{0: grant.IdleLifetime, 10 * 24 * time.Hour: 24 * 24 * time.Hour, 29 * 24 * time.Hour: grant.AbsoluteLifetime} {
		f.UsedAt = now.Add(used)
		end := f.Ends()
		if !end.Equal(now.Add(want)) || !f.Stands(end.Add(-1)) || f.Stands(end) {
			t.Errorf("used after %v it ends after %v", used, end.Sub(now))
		}
	}
}

func TestRefresh_RetryOnlyInTheWindowForTheSameRequest(t *testing.T) {
	t.Parallel()
	child := grant.Refresh{Hash: [32]byte{2}}
	used := grant.Refresh{Hash: [32]byte{1}, UsedAt: now, Child: child.Hash, Sealed: []byte("x"), Scope: "a b", Resource: "r"}
	spentChild, other := child, child
	spentChild.UsedAt, other.Hash = now, [32]byte{3}
	live := used
	live.UsedAt = time.Time{}
	unsealed := used
	unsealed.Sealed = nil
	for name, c := range map[string]struct {
		used, child     grant.Refresh
		scope, resource string
		after           time.Duration
		want            bool
	}{
		"at once":             {used, child, "a b", "r", 0, true},
		"at the edge":         {used, child, "a b", "r", grant.RetryWindow, true},
		"too late":            {used, child, "a b", "r", grant.RetryWindow + 1, false},
		"clock set back":      {used, child, "a b", "r", -grant.RetryWindow, true},
		"set back too far":    {used, child, "a b", "r", -grant.RetryWindow - 1, false},
		"other scope":         {used, child, "a", "r", 0, false},
		"other resource":      {used, child, "a b", "", 0, false},
		"successor used":      {used, spentChild, "a b", "r", 0, false},
		"another's successor": {used, other, "a b", "r", 0, false},
		"never used":          {live, child, "a b", "r", 0, false},
		"nothing sealed":      {unsealed, child, "a b", "r", 0, false},
	} {
		if got := c.used.MayRetry(c.child, c.scope, c.resource, now.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
