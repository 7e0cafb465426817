package session

import (
	"context"
	"encoding/hex"
	"time"

	"ellis.example/idp/internal/ident"
)

// Browser returns what names a browser for limits: a digest of its device cookie if somebody signed in with that lately,
// else "". It asks the store when it is called; device is the cookie's secret, or empty.
func Browser(r Reader, device string, now time.Time) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if device == "" {
			return "", nil
		}
		h := ident.Hash(device)
		known, err := r.KnownBrowser(ctx, h, now.Add(-DeviceLifetime))
		if err != nil || !known {
			return "", err
		}
		return hex.EncodeToString(h[:16]), nil
	}
}
