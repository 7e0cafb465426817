package keyring

import (
	"context"
	"slices"

	"ellis.example/idp/internal/unit"
)

// Replacement returns what discards every pair at once, with all that they signed, and puts new ones in their places. Its
// caller commits it with what made that necessary. Errors: those of the store.
func (r *Ring) Replacement(ctx context.Context) (out []unit.Write, err error) {
	have, err := r.d.Store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var done []string
	for _, k := range have {
		if k.State == Discarded || slices.Contains(done, k.Alg) {
			continue
		}
		u, err := r.emergency(ctx, have, k.Alg)
		if err != nil {
			return nil, err
		}
		out, done = append(out, u.Writes...), append(done, k.Alg)
	}
	return out, nil
}
