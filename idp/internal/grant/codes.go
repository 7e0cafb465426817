package grant

import (
	"context"
	"encoding/json"
	"time"

	"ellis.example/idp/internal/clock"
)

// CodeKind is the kind under which a volatile store keeps codes.
const CodeKind = "code"

// Values is what codes ask of a volatile store: values by kind and id, each for a time.
type Values interface {
	Put(ctx context.Context, kind, id string, value []byte, ttl time.Duration) error
	// Get returns a value; ok is false when there is none, or none any more.
	Get(ctx context.Context, kind, id string) (value []byte, ok bool, err error)
	Delete(ctx context.Context, kind, id string) error
}

// Codes is a CodeStore over a volatile store of values.
type Codes struct {
	values Values
	clk    clock.Clock
}

var _ CodeStore = Codes{}

// NewCodes returns a CodeStore over a store of values.
func NewCodes(v Values, clk clock.Clock) Codes { return Codes{v, clk} }

// PutCode implements CodeStore.
func (s Codes) PutCode(ctx context.Context, hash [32]byte, c Code) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.values.Put(ctx, CodeKind, string(hash[:]), b, c.ExpiresAt.Sub(s.clk.Now()))
}

// GetCode implements CodeStore.
func (s Codes) GetCode(ctx context.Context, hash [32]byte) (c Code, err error) {
	b, ok, err := s.values.Get(ctx, CodeKind, string(hash[:]))
	if err != nil {
		return c, err
	}
	if !ok {
		return c, ErrNotFound
	}
	return c, json.Unmarshal(b, &c)
}

// DeleteCode implements CodeStore.
func (s Codes) DeleteCode(ctx context.Context, hash [32]byte) error {
	return s.values.Delete(ctx, CodeKind, string(hash[:]))
}
