package background_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/background"
	"ellis.example/idp/internal/unit"
)

// A failure is told and tried again; that another process has the job is no failure. Neither stops the other jobs.
func TestRun_GoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	turns := 0
	broken := func(context.Context) error {
		if turns++; turns == 3 {
			stop()
		}
		return errors.New("a cable is out")
	}
	background.Run(ctx, slog.New(slog.NewTextHandler(&log, nil)),
		background.Job{Name: "broken", Every: time.Millisecond, Do: broken},
		background.Job{Name: "lost", Every: time.Hour, Do: func(context.Context) error { return &unit.Conflict{Why: "lost"} }},
	)
	text := log.String()
	if turns != 3 || strings.Count(text, "level=ERROR") != 2 || !strings.Contains(text, "a cable is out") || !strings.Contains(text, `level=INFO msg="background job left to another process" job=lost`) {
		t.Errorf("%d turns, and it says:\n%s", turns, text)
	}
}
