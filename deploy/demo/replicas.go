package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ellis.example/deploy/internal/balance"
	"ellis.example/deploy/internal/launch"
)

// chooseReplicaPorts gives every replica ports of its own. The ports of the configuration are those of the load balancer;
// its private ones are those of the first replica.
func (d *demo) chooseReplicaPorts(ports *launch.Ports) error {
	if d.replicas == 1 {
		return nil
	}
	d.at = make([]launch.ServicePorts, d.replicas)
	for i := range d.at {
		p := &d.at[i]
		for _, to := range []*int{&p.IDP, &p.CaseAPI, &p.Portal, &p.IDPPrivate, &p.CaseAPIPrivate, &p.PortalPrivate} {
			var err error
			if *to, err = ports.Free(); err != nil {
				return err
			}
		}
	}
	first := d.at[0]
	d.cfg.Ports.IDPPrivate, d.cfg.Ports.CaseAPIPrivate, d.cfg.Ports.PortalPrivate = first.IDPPrivate, first.CaseAPIPrivate, first.PortalPrivate
	return nil
}

// startReplicas starts the load balancer and what stands behind it.
func (d *demo) startReplicas(ctx context.Context) error {
	var idp, api, portal []launch.Spec
	for i, at := range d.at {
		c := d.cfg.Replica(i+1, at)
		idp, api, portal = append(idp, c.IDPSpec()), append(api, c.CaseAPISpec()), append(portal, c.PortalSpec(portalID))
	}
	for _, b := range []struct {
		port  int
		specs []launch.Spec
		of    func(launch.ServicePorts) int
	}{
		{d.cfg.Ports.IDP, idp, func(p launch.ServicePorts) int { return p.IDP }},
		{d.cfg.Ports.CaseAPI, api, func(p launch.ServicePorts) int { return p.CaseAPI }},
		{d.cfg.Ports.Portal, portal, func(p launch.ServicePorts) int { return p.Portal }},
	} {
		pool := balance.NewPool(d.running)
		for i, s := range b.specs {
			pool.Add(balance.Backend{URL: &url.URL{Scheme: "http", Host: launch.Loopback(b.of(d.at[i]))}, Ready: s.Ready})
		}
		if err := d.balance(ctx, b.port, pool); err != nil {
			return err
		}
	}
	if err := d.startTogether(ctx, idp); err != nil {
		return err
	}
	return d.startTogether(ctx, append(api, portal...))
}

// balance serves a port from a pool for as long as the demo runs.
func (d *demo) balance(ctx context.Context, port int, pool *balance.Pool) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", launch.Loopback(port))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: pool.Handler(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(d.running, func() { _ = srv.Close() })
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.fail(fmt.Errorf("the load balancer ended: %w", err))
		}
	}()
	return nil
}

// service is which service a process is of: idp-2 is one of idp.
func service(process string) string {
	name, _, _ := strings.Cut(process, "-")
	return name
}

// pids are the processes of each service.
func (d *demo) pids() map[string][]int {
	out := map[string][]int{}
	for _, p := range d.procs {
		out[service(p.Name)] = append(out[service(p.Name)], p.Pid)
	}
	return out
}

// watch waits until ctx ends or nothing is left of a service. While others of its kind go on, a replica that died is only
// told of.
func (d *demo) watch(ctx context.Context) error {
	left := map[string]int{}
	for name, pids := range d.pids() {
		left[name] = len(pids)
	}
	for {
		err := d.group.Wait(ctx)
		var death *launch.Death
		if !errors.As(err, &death) {
			return err
		}
		name := service(death.Name)
		if left[name]--; left[name] == 0 {
			return err
		}
		d.say(fmt.Sprintf("%v\ndemo: %d of %s go on", death, left[name], name))
	}
}
