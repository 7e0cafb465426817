package sqlstore_test

import (
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/store/storetest"
)

// What docs/operations/postgresql.md gives the role that serves.
const runtimeGrants = `
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO serves;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO serves;
REVOKE UPDATE, DELETE ON audit_events FROM serves`

// runtimeRole migrates a fresh database as its owner and names it for a role that only serves.
func runtimeRole(t *testing.T) string {
	t.Helper()
	owner := pgtest.Database(t)
	sqltest.OpenDSN(t, owner, clock.System{})
	db, err := sql.Open("pgx", owner)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	role := "serves_" + strings.Trim(u.Path, "/")
	if _, err := db.ExecContext(t.Context(), "CREATE ROLE "+role+" LOGIN;"+strings.ReplaceAll(runtimeGrants, "serves", role)); err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

// The role that serves keeps the contract, and can neither change the schema nor the record.
func TestRoles_WhoServesNeedsNoMoreThanDocumented(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) *store {
		s := sqltest.OpenDSN(t, runtimeRole(t), clock.System{})
		return &store{Store: s, replicas: []*sqlstore.Store{s}}
	}
	for name, suite := range map[string]func(*testing.T, opener){
		"core":     func(t *testing.T, o opener) { storetest.Core(t, o) },
		"grants":   func(t *testing.T, o opener) { storetest.Grants(t, o) },
		"sessions": func(t *testing.T, o opener) { storetest.Sessions(t, o) },
		"sweeps":   func(t *testing.T, o opener) { storetest.Sweeps(t, o) },
		"feed":     func(t *testing.T, o opener) { storetest.Feed(t, o) },
		"outbox":   func(t *testing.T, o opener) { storetest.Outbox(t, o) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite(t, open)
		})
	}
	db, err := sql.Open("pgx", runtimeRole(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"UPDATE audit_events SET at = 0", "DELETE FROM audit_events", "DROP TABLE accounts", "ALTER TABLE accounts ADD COLUMN x INT", "CREATE TABLE y (x INT)"} {
		if _, err := db.ExecContext(t.Context(), q); err == nil || (!strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "must be owner")) {
			t.Error(errors.Join(errors.New(q), err))
		}
	}
}
