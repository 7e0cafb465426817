package memstore

import (
	"bytes"
	"context"
	"encoding/json"

	"ellis.example/idp/internal/flow"
)

const kindFlow = "flow"

var _ flow.Store = (*Store)(nil)

// PutFlow implements flow.Store. Flows of people who have proven nothing are given up, oldest first, when there is no room.
func (s *Store) PutFlow(_ context.Context, f flow.Flow) error {
	old := f.Version
	f.Version++
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return err
	}
	if b.Len() > flow.MaxSize {
		return flow.ErrTooLarge
	}
	sh, k := s.in(s.flows, kindFlow, f.ID)
	now := s.clk.Now()
	e := &entry{key: k, value: bytes.Clone(b.Bytes()), version: f.Version, expires: now.Add(min(f.ExpiresAt.Sub(now), flow.Lifetime)), firm: f.Proven()}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	have := int64(0)
	if there := sh.m[k]; there != nil && now.Before(there.expires) {
		have = there.version
	}
	if have != old {
		return flow.ErrStale
	}
	return sh.put(e, now)
}

// GetFlow implements flow.Store.
func (s *Store) GetFlow(ctx context.Context, id string) (flow.Flow, error) {
	b, ok, err := s.Get(ctx, kindFlow, id)
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
