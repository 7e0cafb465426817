package throttle

import (
	"context"
	"time"

	"ellis.example/idp/internal/rate"
)

// Rates counts requests by key. What it loses starts anew. It is implemented by stores for volatile data.
type Rates interface {
	// Allow counts one request of key, if limit lets it through; otherwise it says how long to wait. A refused request
	// is not counted. One key always comes with one limit.
	Allow(ctx context.Context, key string, limit rate.Limit) (ok bool, retryAfter time.Duration, err error)
}
