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
