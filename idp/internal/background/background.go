package background

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ellis.example/idp/internal/unit"
)

// Job is one thing that is done again and again.
type Job struct {
	Name  string
	Every time.Duration
	Do    func(ctx context.Context) error
}

// Run runs the jobs until ctx ends, each at once and then every Every after it was done. A job that fails is logged and
// tried again at its next turn. It returns when all have ended.
func Run(ctx context.Context, log *slog.Logger, jobs ...Job) {
	var wg sync.WaitGroup
	for _, j := range jobs {
		wg.Go(func() { j.run(ctx, log) })
	}
	wg.Wait()
}

func (j Job) run(ctx context.Context, log *slog.Logger) {
	for ctx.Err() == nil {
		switch err := j.Do(ctx); {
		case err == nil || ctx.Err() != nil:
		case unit.IsConflict(err):
			log.Info("background job left to another process", "job", j.Name, "cause", err.Error())
		default:
			log.Error("background job failed", "job", j.Name, "cause", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(j.Every):
		}
	}
}
