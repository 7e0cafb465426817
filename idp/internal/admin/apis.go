package admin

import (
	"context"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/fault"
)

// ErrAPIExists is returned for an id that is taken.
var ErrAPIExists = fault.New(fault.Conflict, "api_exists", "an API with this id is registered: choose another one, or update it").At("id")

// ListAPIs lists all APIs, by id.
func (a *Admin) ListAPIs(ctx context.Context) ([]api.API, error) { return a.d.Store.APIs(ctx) }

// CreateAPI registers an API. Errors: a fault of kind Invalid that names every problem; ErrAPIExists; ErrMeanwhile.
func (a *Admin) CreateAPI(ctx context.Context, x api.API, by string) (APIResult, error) {
	s, err := a.state(ctx)
	if err != nil {
		return APIResult{}, err
	}
	if s.api(x.ID) != nil {
		return APIResult{}, ErrAPIExists
	}
	return a.setAPI(ctx, s, x, by)
}

// UpdateAPI changes an API by a function. Its id cannot be changed. Errors: api.ErrNotFound; what change returns; a fault of
// kind Invalid that names every problem; ErrMeanwhile.
func (a *Admin) UpdateAPI(ctx context.Context, id string, change func(*api.API) error, by string) (APIResult, error) {
	s, err := a.state(ctx)
	if err != nil {
		return APIResult{}, err
	}
	old := s.api(id)
	if old == nil {
		return APIResult{}, api.ErrNotFound
	}
	x := *old
	if err := change(&x); err != nil {
		return APIResult{}, err
	}
	x.ID = id
	return a.setAPI(ctx, s, x, by)
}

func (a *Admin) setAPI(ctx context.Context, s *state, x api.API, by string) (APIResult, error) {
	p, err := s.planAPI(x, by)
	if err != nil {
		return APIResult{}, err
	}
	return p.api, a.commit(ctx, p)
}
