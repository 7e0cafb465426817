package epoch

import (
	"context"

	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
)

// Current returns what tells the present epoch from every other one, also from one of the same number that a restore of an
// older copy took back.
type Current func(ctx context.Context) (int64, error)

// Flows is a store of flows that does not find those of another epoch: a password that was proven before a restore counts
// for nothing after it.
type Flows struct {
	flow.Store
	Now Current
}

// Codes is a store of codes that does not find those of another epoch.
type Codes struct {
	grant.CodeStore
	Now Current
}

var (
	_ flow.Store      = Flows{}
	_ grant.CodeStore = Codes{}
)

// PutFlow implements flow.Store. A flow that was read in one epoch is not written in another.
func (s Flows) PutFlow(ctx context.Context, f flow.Flow) error {
	n, err := s.Now(ctx)
	if err != nil {
		return err
	}
	if f.Version > 0 && f.Epoch != n {
		return flow.ErrNotFound
	}
	f.Epoch = n
	return s.Store.PutFlow(ctx, f)
}

// GetFlow implements flow.Store.
func (s Flows) GetFlow(ctx context.Context, id string) (flow.Flow, error) {
	f, err := s.Store.GetFlow(ctx, id)
	if err != nil {
		return f, err
	}
	if n, err := s.Now(ctx); err != nil || n != f.Epoch {
		return flow.Flow{}, orNotFound(err, flow.ErrNotFound)
	}
	return f, nil
}

// PutCode implements grant.CodeStore.
func (s Codes) PutCode(ctx context.Context, hash [32]byte, c grant.Code) (err error) {
	if c.Epoch, err = s.Now(ctx); err != nil {
		return err
	}
	return s.CodeStore.PutCode(ctx, hash, c)
}

// GetCode implements grant.CodeStore.
func (s Codes) GetCode(ctx context.Context, hash [32]byte) (grant.Code, error) {
	c, err := s.CodeStore.GetCode(ctx, hash)
	if err != nil {
		return c, err
	}
	if n, err := s.Now(ctx); err != nil || n != c.Epoch {
		return grant.Code{}, orNotFound(err, grant.ErrNotFound)
	}
	return c, nil
}

func orNotFound(err, notFound error) error {
	if err != nil {
		return err
	}
	return notFound
}
