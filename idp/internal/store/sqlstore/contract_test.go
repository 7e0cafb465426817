package sqlstore_test

import (
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/store/storetest"
)

type opener = func(*testing.T) *sqlstore.Store

// contract runs a suite over every kind of database, and over PostgreSQL also as two replicas see it: each time that the
// suite opens a store, it gets the next of two over the same database.
func contract(t *testing.T, suite func(*testing.T, opener)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *sqlstore.Store { return sqltest.Open(t, clock.System{}) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *sqlstore.Store { return sqltest.OpenDSN(t, pgtest.Database(t), clock.System{}) })
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
