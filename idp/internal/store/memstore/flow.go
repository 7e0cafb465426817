package memstore

import (
	"context"
	"encoding/json"

	"ellis.example/idp/internal/flow"
)

const kindFlow = "flow"

var _ flow.Store = (*Store)(nil)

// PutFlow implements flow.Store.
func (s *Store) PutFlow(ctx context.Context, f flow.Flow) error {
	old := f.Version
	f.Version++
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	ok, err := s.CompareAndPut(ctx, kindFlow, f.ID, old, b, min(f.ExpiresAt.Sub(s.clk.Now()), flow.Lifetime))
	if err == nil && !ok {
		return flow.ErrStale
	}
	return err
}

// GetFlow implements flow.Store.
func (s *Store) GetFlow(ctx context.Context, id string) (flow.Flow, error) {
	b, _, ok, err := s.Get(ctx, kindFlow, id)
	if err != nil {
		return flow.Flow{}, err
	}
	var f flow.Flow
	if !ok {
		return f, flow.ErrNotFound
	}
	return f, json.Unmarshal(b, &f)
}

// DeleteFlow implements flow.Store.
func (s *Store) DeleteFlow(ctx context.Context, id string) error { return s.Delete(ctx, kindFlow, id) }
