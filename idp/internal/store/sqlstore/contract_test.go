package sqlstore_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/store/storetest"
	"ellis.example/idp/internal/unit"
)

// store is one replica, or several over one database: each unit goes to the next of them.
type store struct {
	*sqlstore.Store
	replicas []*sqlstore.Store
	turn     atomic.Uint64
}

// Commit implements unit.Committer.
func (s *store) Commit(ctx context.Context, u unit.Unit) error {
	return s.replicas[s.turn.Add(1)%uint64(len(s.replicas))].Commit(ctx, u)
}

type opener = func(*testing.T) *store

// contract runs a suite over SQLite, and over PostgreSQL as two replicas share it: whoever races there, races across them.
func contract(t *testing.T, suite func(*testing.T, opener)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *store {
			s := sqltest.Open(t, clock.System{})
			return &store{Store: s, replicas: []*sqlstore.Store{s}}
		})
	})
	t.Run("postgres, two replicas", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *store {
			dsn := pgtest.Database(t)
			a, b := sqltest.OpenDSN(t, dsn, clock.System{}), sqltest.OpenDSN(t, dsn, clock.System{})
			return &store{Store: a, replicas: []*sqlstore.Store{a, b}}
		})
	})
}

func TestContract_Core(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Core(t, o) })
}

func TestContract_Keys(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Keys(t, o) })
}

func TestContract_Clients(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Clients(t, o) })
}

func TestContract_APIs(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.APIs(t, o) })
}

func TestContract_Sweeps(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Sweeps(t, o) })
}

func TestContract_Grants(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Grants(t, o) })
}

func TestContract_Accounts(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Accounts(t, o) })
}

func TestContract_Factors(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Factors(t, o) })
}

func TestContract_Sessions(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Sessions(t, o) })
}

func TestContract_Throttles(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Throttles(t, o) })
}

func TestContract_Outbox(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Outbox(t, o) })
}

func TestContract_Leases(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Leases(t, o) })
}

func TestContract_Epochs(t *testing.T) {
	t.Parallel()
	t.Run("sqlite, two processes", func(t *testing.T) {
		t.Parallel()
		storetest.Epochs(t, func(t *testing.T) (a, b *sqlstore.Store) {
			path := filepath.Join(t.TempDir(), "idp.db")
			return sqltest.OpenAt(t, path, clock.System{}), sqltest.OpenAt(t, path, clock.System{})
		})
	})
	t.Run("postgres, two replicas", func(t *testing.T) {
		t.Parallel()
		storetest.Epochs(t, func(t *testing.T) (a, b *sqlstore.Store) {
			dsn := pgtest.Database(t)
			return sqltest.OpenDSN(t, dsn, clock.System{}), sqltest.OpenDSN(t, dsn, clock.System{})
		})
	})
}

func TestContract_Feed(t *testing.T) {
	contract(t, func(t *testing.T, o opener) { storetest.Feed(t, o) })
}
