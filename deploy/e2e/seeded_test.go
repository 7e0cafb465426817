package e2e

import (
	"sync"
	"testing"
)

// seededApps are the authenticator apps of the seeded people, whom several tests are: a code counts once for all of them.
var seededApps = apps{of1: map[string]*authenticator{}, mu: map[string]*sync.Mutex{}}

type apps struct {
	all sync.Mutex
	of1 map[string]*authenticator
	mu  map[string]*sync.Mutex
}

func (a *apps) of(t *testing.T, who seeded) *authenticator {
	t.Helper()
	a.all.Lock()
	defer a.all.Unlock()
	if a.of1[who.Email] == nil {
		a.of1[who.Email] = newAuthenticator(t, who.TOTPSecret)
		a.mu[who.Email] = &sync.Mutex{}
		secrets.add("password", who.Password)
	}
	return a.of1[who.Email]
}

// use runs a sign-in that takes a code while nobody else takes one of the same app.
func (a *apps) use(email string, signIn func()) {
	a.all.Lock()
	mu := a.mu[email]
	a.all.Unlock()
	mu.Lock()
	defer mu.Unlock()
	signIn()
}
