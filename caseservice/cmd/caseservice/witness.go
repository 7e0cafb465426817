package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/witness"
)

const (
	checkpointEvery = 30 * time.Second
	exportEvery     = time.Second
	lastWords       = 5 * time.Second // for the witnesses at the end of the process
)

// witnesses are the files outside the database that say what it held.
type witnesses struct {
	points *witness.Checkpointer // nil: none are kept
	export *witness.Exporter     // nil: none is kept
	log    *slog.Logger

	silent [2]atomic.Bool // whether the last try of points and of export failed
}

// witnesses opens the witnesses of serve, and refuses a database that must not be served: a copy that nobody accepted, or
// one that has lost what a checkpoint of it signed. Used codes, lost claims and guesses would come back.
func (s *settings) witnesses(ctx context.Context, store *sqlstore.Store, key []byte, log *slog.Logger) (*witnesses, error) {
	w := &witnesses{log: log}
	is, err := store.IsCopy(ctx)
	if err == nil && is {
		err = epoch.ErrCopy
	}
	if err != nil {
		return nil, err
	}
	if s.export != "" {
		w.export = &witness.Exporter{Log: store, File: s.export}
	}
	if s.checkpoints == "" {
		return w, nil
	}
	k, err := ledger.NewKey(key)
	if err != nil {
		return nil, err
	}
	last, kept, err := witness.Last(s.checkpoints, k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.checkpoints, err)
	}
	if kept {
		behind, err := last.Behind(ctx, store)
		if err != nil {
			return nil, err
		}
		if behind != "" {
			return nil, fmt.Errorf("the database is older than the last signed checkpoint in %s (%s): it is a restored copy or was cut; serving it would bring used codes and lost claims back: run `caseservice restore --accept`", s.checkpoints, behind)
		}
	}
	w.points = &witness.Checkpointer{
		Log: store, Key: k, Origin: s.audience, File: s.checkpoints, Now: clock.System{}.Now, SetBack: store.Halt, Accepted: store.Resume,
	}
	return w, nil
}

// keep keeps the witnesses until ctx ends, and then once more: what was answered last is in them, too.
func (w *witnesses) keep(ctx context.Context) {
	var running sync.WaitGroup
	if w.export != nil {
		running.Go(func() { every(ctx, exportEvery, func() { w.exported(ctx) }) })
	}
	if w.points != nil {
		running.Go(func() { every(ctx, checkpointEvery, func() { w.signed(ctx) }) })
	}
	running.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	w.exported(last)
	w.signed(last)
}

func (w *witnesses) exported(ctx context.Context) {
	if w.export == nil {
		return
	}
	_, err := w.export.Once(ctx)
	w.tell(ctx, 1, "the ledger was not exported", err)
}

func (w *witnesses) signed(ctx context.Context) {
	if w.points == nil {
		return
	}
	err := w.points.Once(ctx)
	w.tell(ctx, 0, "no checkpoint of the ledger was signed", err)
}

func (w *witnesses) tell(ctx context.Context, which int, what string, err error) {
	if err != nil && errors.Is(err, ctx.Err()) {
		return
	}
	w.silent[which].Store(err != nil)
	if err != nil {
		w.log.Error("a witness of the ledger falls behind", "what", what, "error", err)
	}
}

// problems names the witnesses that fall behind, for /readyz.
func (w *witnesses) problems() (out []string) {
	for i, name := range []string{"ledger checkpoints", "ledger export"} {
		if w.silent[i].Load() {
			out = append(out, name)
		}
	}
	return out
}
