package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strconv"
	"sync"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/seed"
)

// careful is somebody with a second factor.
type careful struct {
	mu sync.Mutex
	person
	last int64 // the time step whose code was shown last
}

const stepTime = 30 // seconds (RFC 6238 §4.1)

// enrol makes an account with an authenticator app.
func (d *driver) enrol(ctx context.Context) error {
	secret := make([]byte, 20)
	_, _ = rand.Read(secret) // it never fails
	d.careful.Account = seed.Account{
		Email: "careful@example.com", Password: newSecret(), TOTP: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret),
		Given: "Test", Family: "Person", Born: "1990-01-02", Country: "MX", Locale: "en",
	}
	return seed.CreateAccount(ctx, d.sys.cfg, d.careful.Account)
}

// proveFactor signs in with a code that no one showed yet, from two browsers at the same time, and before that with the last one
// once more: from before a fault, perhaps. There is a new code every half minute; in between nothing is done.
func (d *driver) proveFactor(ctx context.Context) {
	w := &d.careful
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	step := time.Now().Unix() / stepTime
	if step <= w.last {
		return
	}
	if w.last > 0 {
		d.showCode(ctx, d.halfway(ctx), w.last)
	}
	w.last = step
	browsers := []*agent.Agent{d.halfway(ctx), d.halfway(ctx)}
	var both sync.WaitGroup
	for _, b := range browsers {
		both.Go(func() { d.showCode(ctx, b, step) })
	}
	both.Wait()
	for _, b := range browsers {
		if b == nil {
			continue
		}
		if known := one(d.cookiesOf(b), deviceCookie); known != "" {
			w.device = known
		}
	}
}

// halfway is a browser that has shown the password and is asked for a code; nil when that did not go.
func (d *driver) halfway(ctx context.Context) *agent.Agent {
	w := &d.careful
	b := d.browser(w.device, "")
	if !d.visit(ctx, b, d.sys.issuer()+seed.NewAttempt().Target("")) {
		return nil
	}
	got := d.submit(ctx, b, record{Op: opSignIn, Who: w.Email, Secret: hashOf(w.Password)}, "", map[string]string{"identifier": w.Email, "password": w.Password})
	if got.Status/100 != 3 || !d.visit(ctx, b, b.Page.Location) {
		return nil
	}
	return b
}

func (d *driver) showCode(ctx context.Context, b *agent.Agent, step int64) {
	if b == nil {
		return
	}
	code, err := hotp.GenerateCodeCustom(d.careful.TOTP, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		d.fail(err)
		return
	}
	d.submit(ctx, b, record{Op: opFactor, Who: d.careful.Email, Once: strconv.FormatInt(step, 10)}, "", map[string]string{"code": code})
}
