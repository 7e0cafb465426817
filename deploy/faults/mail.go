package main

import (
	"context"
	"errors"
	"net"
	"time"

	"ellis.example/deploy/internal/faultproxy"
	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/mailbox"
)

// post is where the provider's mail goes: a mailbox behind a proxy that can break the way to it.
type post struct {
	box   *mailbox.Box
	relay *faultproxy.Proxy // what the provider takes for its mail server
	stop  context.CancelFunc
	over  chan error
}

// openPost serves a mailbox at a port of loopback. The caller ends it with close.
func openPost(port int) (*post, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &post{box: mailbox.New(time.Now), stop: stop, over: make(chan error, 1)}
	go func() { p.over <- p.box.ServeSMTP(ctx, l) }()
	if p.relay, err = faultproxy.Listen(launch.Loopback(port), l.Addr().String()); err != nil {
		stop()
		return nil, errors.Join(err, <-p.over)
	}
	return p, nil
}

func (p *post) close() error {
	err := p.relay.Close()
	p.stop()
	if ended := <-p.over; err == nil {
		err = ended
	}
	return err
}
