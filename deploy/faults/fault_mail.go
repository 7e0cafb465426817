package main

import (
	"context"
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
	return func(_ context.Context, r *run, choice *dice) error {
		r.broke = time.Now()
		r.sys.post.relay.Set(f)
		if f.Refuse {
			r.sys.post.relay.Sever()
		}
		pause(choice, 1500*time.Millisecond, 3*time.Second)
		r.sys.post.relay.Set(faultproxy.Fault{})
		return nil
	}
}

// hangUp cuts the way to the relay again and again, also where it has just taken a mail and its answer is under way.
func hangUp(_ context.Context, r *run, choice *dice) error {
	r.broke = time.Now()
	for range 4 {
		r.sys.post.relay.Lose(1 + choice.roll(6))
		pause(choice, 300*time.Millisecond, 600*time.Millisecond)
		r.sys.post.relay.Sever()
	}
	r.sys.post.relay.Lose(0)
	return nil
}
