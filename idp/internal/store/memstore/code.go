package memstore

import (
	"context"
	"encoding/json"

	"ellis.example/idp/internal/grant"
)

const kindCode = "code"

var _ grant.CodeStore = (*Store)(nil)

// PutCode implements grant.CodeStore.
func (s *Store) PutCode(ctx context.Context, hash [32]byte, c grant.Code) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.Put(ctx, kindCode, string(hash[:]), b, c.ExpiresAt.Sub(s.clk.Now()))
}

// GetCode implements grant.CodeStore.
func (s *Store) GetCode(ctx context.Context, hash [32]byte) (grant.Code, error) {
	b, ok, err := s.Get(ctx, kindCode, string(hash[:]))
	if err != nil {
		return grant.Code{}, err
	}
	var c grant.Code
	if !ok {
		return c, grant.ErrNotFound
	}
	return c, json.Unmarshal(b, &c)
}

// DeleteCode implements grant.CodeStore.
func (s *Store) DeleteCode(ctx context.Context, hash [32]byte) error {
	return s.Delete(ctx, kindCode, string(hash[:]))
}
