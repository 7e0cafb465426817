package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ellis.example/deploy/internal/faultproxy"
)

// mailFaults are those of the way to the mail relay. Nobody who asks for something notices any of them: mail is late.
func mailFaults() []fault {
	return []fault{
		{name: "mail relay refuses", once: true, recover: quick, spared: unfelt, happen: breakMail(faultproxy.Fault{Refuse: true})},
		{name: "mail relay silent", once: true, recover: quick, spared: unfelt, happen: breakMail(faultproxy.Fault{Hang: true})},
		{name: "mail relay is a tarpit", once: true, recover: quick, spared: unfelt, happen: breakMail(faultproxy.Fault{Delay: time.Second, Rate: 20})},
		{name: "mail relay hangs up", once: true, recover: quick, spared: unfelt, happen: hangUp},
	}
}

func breakMail(f faultproxy.Fault) func(context.Context, *run, *dice) error {
	return func(ctx context.Context, r *run, choice *dice) error {
		return r.withoutMail(ctx, func() {
			r.sys.post.relay.Set(f)
		}, func() {
			pause(choice, 1500*time.Millisecond, 3*time.Second)
		}, func() {
			r.sys.post.relay.Set(faultproxy.Fault{})
		})
	}
}

// hangUp cuts the way to the relay again and again, also where it has just taken a mail and its answer is under way.
func hangUp(ctx context.Context, r *run, choice *dice) error {
	lose := func() { r.sys.post.relay.Lose(1 + choice.roll(6)) }
	return r.withoutMail(ctx, lose, func() {
		for range 4 {
			pause(choice, 300*time.Millisecond, 600*time.Millisecond)
			r.sys.post.relay.Sever()
			lose()
		}
	}, func() { r.sys.post.relay.Lose(0) })
}

var errMail = errors.New("the way to the relay was broken, and a mail was not put off")

// withoutMail breaks the way to the relay, lets somebody ask for a mail, and mends it when an attempt to send that has failed.
func (r *run) withoutMail(ctx context.Context, fail, meanwhile, mend func()) error {
	relay, address := r.sys.post.relay, newAddress()
	defer mend()
	r.broke = time.Now()
	fail()
	relay.Sever()
	r.driver.askForMail(ctx, address)
	meanwhile()
	for end := time.Now().Add(answerTime); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		relay.Sever() // what hangs has failed
		if tried, err := r.sys.tried(ctx, address); err != nil || tried {
			return err
		}
	}
	return errors.Join(errMail, ctx.Err())
}

// tried reports whether an attempt to send a mail to an address has ended, well or not.
func (s *system) tried(ctx context.Context, address string) (tried bool, err error) {
	err = snapshot(ctx, s.database(), func(tx *sql.Tx) error {
		return rows(ctx, tx, `SELECT recipient, sent_at <> 0 OR (attempts > 0 AND fence = 0) FROM outbox`, func(rs *sql.Rows) error {
			var to string
			var ended bool
			err := rs.Scan(&to, &ended)
			tried = tried || (to == address && ended)
			return err
		})
	})
	return tried, err
}
