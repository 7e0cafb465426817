package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"ellis.example/deploy/internal/balance"
	"ellis.example/deploy/internal/launch"
)

// startReplicas starts the load balancers and what stands behind them.
func (d *demo) startReplicas(ctx context.Context) error {
	var idp, api, portal []launch.Spec
	for i, at := range d.at {
		c := d.cfg.Replica(i+1, at)
		idp, api, portal = append(idp, c.IDPSpec()), append(api, c.CaseAPISpec()), append(portal, c.PortalSpec(portalID))
	}
	for port, specs := range map[int][]launch.Spec{d.cfg.Ports.IDP: idp, d.cfg.Ports.CaseAPI: api, d.cfg.Ports.Portal: portal} {
		if _, err := balance.Serve(d.running, launch.Loopback(port), balance.Replicas(d.running, specs).Handler(), d.fail); err != nil {
			return err
		}
	}
	if err := d.beginCheckpoints(ctx); err != nil {
		return err
	}
	if err := d.startTogether(ctx, idp); err != nil {
		return err
	}
	return d.startTogether(ctx, append(api, portal...))
}

// beginCheckpoints begins the files of checkpoints of replicas that an earlier run did not have: the provider would miss them.
// That of the first replica was there, and is missed for good reason.
func (d *demo) beginCheckpoints(ctx context.Context) error {
	if !d.resumed {
		return nil
	}
	first := d.cfg.Replica(1, d.at[0]).Checkpoints()
	for i, at := range d.at[1:] {
		c := d.cfg.Replica(i+2, at)
		if _, err := os.Stat(c.Checkpoints()); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := c.Command(ctx, c.IDP, "audit", "begin", "--witness", first); err != nil {
			return err
		}
	}
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
