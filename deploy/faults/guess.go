package main

import (
	"context"
	"strconv"
	"sync"

	"ellis.example/deploy/internal/seed"
)

// expose makes an account one whose password others guess at. Nobody signs in to it any more.
func (d *driver) expose(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.exposed = append(d.exposed, address)
	if len(d.exposed) > 4 {
		d.exposed = d.exposed[1:]
	}
}

const crowd = 8

// guess tries wrong passwords of one account at the same time, from as many addresses.
func (d *driver) guess(ctx context.Context, choice *dice) {
	d.mu.Lock()
	n := len(d.exposed)
	var victim string
	if n > 0 {
		victim = d.exposed[choice.roll(n)]
	}
	d.mu.Unlock()
	if victim == "" {
		return
	}
	var loaded, all sync.WaitGroup
	loaded.Add(crowd)
	for range crowd {
		from := "127." + strconv.Itoa(1+choice.roll(250)) + "." + strconv.Itoa(choice.roll(250)) + "." + strconv.Itoa(2+choice.roll(250))
		all.Go(func() {
			b, secret := d.browser("", from), newSecret()
			there := d.visit(ctx, b, d.sys.issuer()+seed.NewAttempt().Target(""))
			loaded.Done()
			loaded.Wait()
			if there {
				d.submit(ctx, b, record{Op: opGuess, Who: victim, Secret: hashOf(secret)}, "", map[string]string{"identifier": victim, "password": secret})
			}
		})
	}
	all.Wait()
}
