package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/witness"
)

// witnesses are the files outside the database that say what it held.
type witnesses struct {
	points *witness.Outside // nil: none are kept
	export *witness.Outside // nil: none is kept
	log    *slog.Logger
}

// witnesses opens the witnesses of serve, and refuses a database that must not be served: a copy that nobody accepted, or
// one that has lost what a checkpoint of it signed, or whose checkpoints are gone. Used codes, lost claims and guesses would come back.
func (s *settings) witnesses(ctx context.Context, store *sqlstore.Store, key []byte, clk clock.Clock, log *slog.Logger) (*witnesses, error) {
	w := &witnesses{log: log}
	is, err := store.IsCopy(ctx)
	if err == nil && is {
		err = epoch.ErrCopy
	}
	if err != nil {
		return nil, err
	}
	if s.export != "" {
		x := &witness.Exporter{Log: store, File: s.export}
		w.export = witness.NewOutside("ledger export", clk.Now, witness.ExportLate, func(ctx context.Context) error {
			_, err := x.Once(ctx)
			return err
		})
	}
	if s.checkpoints == "" {
		return w, nil
	}
	k, err := ledger.NewKey(key)
	if err != nil {
		return nil, err
	}
	points := &witness.Checkpointer{Log: store, Key: k, Origin: s.audience, File: s.checkpoints, Now: clk.Now, SetBack: store.Halt, Accepted: store.Resume}
	begins, err := points.Start(ctx, epoch.Tell, func() error { return recordBegun(ctx, store, "system", s.checkpoints) })
	if err != nil {
		return nil, startable(err)
	}
	if begins {
		log.Warn("a file of checkpoints is begun", "file", s.checkpoints)
	}
	w.points = witness.NewOutside("ledger checkpoints", clk.Now, witness.CheckpointLate, points.Once)
	return w, nil
}

// startable says what to do where a database is not to be served beside its checkpoints.
func startable(err error) error {
	var behind *witness.Behind
	var gone *witness.Gone
	switch {
	case errors.As(err, &behind):
		return fmt.Errorf("%w: it is a restored copy or was cut; serving it would bring used codes and lost claims back: run `caseservice restore --accept`", err)
	case errors.As(err, &gone):
		return fmt.Errorf("%w: where a replica is added or the file is lost for good, run `caseservice ledger begin --checkpoint-file %s --witness FILE`, with the checkpoint file of another replica", err, gone.File)
	}
	return err
}

// role begins the name of the chain of serve.
func (s *settings) role() string {
	if s.checkpoints != "" {
		return witness.Role
	}
	return "serve"
}

// keep keeps the witnesses until ctx ends.
func (w *witnesses) keep(ctx context.Context) {
	var running sync.WaitGroup
	if w.export != nil {
		running.Go(func() { every(ctx, witness.ExportEvery, func() { w.tell(ctx, w.export.Once(ctx)) }) })
	}
	if w.points != nil {
		running.Go(func() { every(ctx, witness.CheckpointEvery, func() { w.tell(ctx, w.points.Once(ctx)) }) })
	}
	running.Wait()
}

func (w *witnesses) tell(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		w.log.Error("a witness of the ledger falls behind", "error", err)
	}
}

// finish brings the witnesses up to date at the end of the process.
func (w *witnesses) finish(ctx context.Context) error { return witness.Finish(ctx, w.export, w.points) }

// problems names the witnesses that are behind, for /readyz.
func (w *witnesses) problems() (out []string) {
	if w.points.Behind() {
		out = append(out, "ledger checkpoints")
	}
	if w.export.Behind() {
		out = append(out, "ledger export")
	}
	return out
}
