package sqlstore_test

import (
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/store/storetest"
)

func open(t *testing.T) *sqlstore.Store { return sqltest.Open(t, clock.System{}) }

func TestContract_Core(t *testing.T) { t.Parallel(); storetest.Core(t, open) }

func TestContract_Keys(t *testing.T) { t.Parallel(); storetest.Keys(t, open) }

func TestContract_Clients(t *testing.T) { t.Parallel(); storetest.Clients(t, open) }

func TestContract_APIs(t *testing.T) { t.Parallel(); storetest.APIs(t, open) }

func TestContract_Grants(t *testing.T) { t.Parallel(); storetest.Grants(t, open) }

func TestContract_Accounts(t *testing.T) { t.Parallel(); storetest.Accounts(t, open) }

func TestContract_Factors(t *testing.T) { t.Parallel(); storetest.Factors(t, open) }

func TestContract_Sessions(t *testing.T) { t.Parallel(); storetest.Sessions(t, open) }

func TestContract_Throttles(t *testing.T) { t.Parallel(); storetest.Throttles(t, open) }

func TestContract_Outbox(t *testing.T) { t.Parallel(); storetest.Outbox(t, open) }
