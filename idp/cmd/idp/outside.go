package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/witness"
)

// outside prepares the copies of the audit outside the database, with their ages as metrics.
func (p *provider) outside(ctx context.Context, key []byte) error {
	if p.export != "" {
		x := &witness.Exporter{Log: p.store, File: p.export}
		p.exports = witness.NewOutside("audit export", p.clock.Now, witness.ExportLate, func(ctx context.Context) error {
			_, err := x.Once(ctx)
			return err
		})
	}
	if err := p.checkpoints(ctx, key); err != nil {
		return err
	}
	age := func(o *witness.Outside, name, help string) {
		p.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return o.Age().Seconds() }))
	}
	age(p.exports, "idp_audit_export_age_seconds", "Time since the file of --audit-export had all of the audit; 0 where there is none.")
	age(p.signs, "idp_audit_checkpoint_age_seconds", "Time since a checkpoint in the file of --checkpoint-file covered all of the audit; 0 where there is none.")
	return nil
}

// checkpoints prepares the signing of checkpoints, and refuses to go on with a database that is older than one of them, or of
// which nobody can say so any more: what was spent or revoked since would come back.
func (p *provider) checkpoints(ctx context.Context, key []byte) error {
	if p.checkpoint == "" {
		return nil
	}
	k, err := witness.NewKey(p.issuer.Hostname(), key)
	if err != nil {
		return err
	}
	points := &witness.Checkpointer{Log: p.store, Key: k, Origin: p.issuer.String(), File: p.checkpoint, Now: p.clock.Now, SetBack: p.store.Halt, Accepted: p.store.Resume}
	begins, err := points.Start(ctx, epochs.Tell, func() error { return recordBegun(ctx, p.store, "system", p.checkpoint) })
	if err != nil {
		return startable(err)
	}
	if begins {
		p.log.Warn("a file of checkpoints is begun", "file", p.checkpoint)
	}
	p.signs = witness.NewOutside("audit checkpoints", p.clock.Now, witness.CheckpointLate, points.Once)
	return nil
}

// startable says what to do where a database is not to be served beside its checkpoints.
func startable(err error) error {
	var behind *witness.Behind
	var gone *witness.Gone
	switch {
	case errors.As(err, &behind):
		return fmt.Errorf("%w: it is a restored copy or was cut; serving it would bring spent and revoked things back: run `idp restore --accept`", err)
	case errors.As(err, &gone):
		return fmt.Errorf("%w: where a replica is added or the file is lost for good, run `idp audit begin --checkpoint-file %s --witness FILE`, with the checkpoint file of another replica", err, gone.File)
	}
	return err
}
