package sqldb

import (
	"errors"
	"maps"
	"testing"
	"testing/fstest"
)

// release is a program with steps beyond the first.
func release(t *testing.T, dsn string, steps map[string]string) *DB {
	t.Helper()
	all := maps.Clone(migrations)
	for name, text := range steps {
		for _, kind := range []string{"sqlite/", "postgres/"} {
			all[kind+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	db, err := Open(t.Context(), dsn, Options{Migrations: all, Chain: events{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

const (
	second = "-- works-with: 1\n-- +goose Up\nALTER TABLE things ADD COLUMN colour TEXT NOT NULL DEFAULT '';\n"
	third  = "-- +goose Up\nALTER TABLE things ADD COLUMN size TEXT NOT NULL DEFAULT '';\n"
)

// A program of before a step goes on, and starts again, exactly where every step that it does not know says so.
func TestCheckSchema_AnOlderProgramStartsWhereEveryNewerStepWorksWithIt(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		open(t, dsn)
		next := map[string]string{"0002_next.sql": second}
		if done, err := release(t, dsn, next).Migrate(t.Context()); err != nil || len(done) != 1 {
			t.Fatalf("%v, %v", done, err)
		}
		old := release(t, dsn, nil)
		if err := old.CheckSchema(t.Context()); err != nil {
			t.Fatalf("one step behind: %v", err)
		}
		if done, err := old.Migrate(t.Context()); err != nil || len(done) != 0 {
			t.Errorf("the older one migrates: %v, %v", done, err)
		}
		if err := add(t.Context(), old, "lamp", ""); err != nil {
			t.Errorf("the older one writes: %v", err)
		}
		next["0003_far.sql"] = "-- works-with: 2\n" + third
		if _, err := release(t, dsn, next).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := old.CheckSchema(t.Context()); !errors.Is(err, ErrNewerSchema) {
			t.Errorf("two steps behind, of which one needs the first: %v", err)
		}
		if err := release(t, dsn, map[string]string{"0002_next.sql": second}).CheckSchema(t.Context()); err != nil {
			t.Errorf("the one between: %v", err)
		}
	})
}

// A step that says nothing takes the older program away, also behind one that does, and whoever applied it before there were marks.
func TestCheckSchema_AStepWithoutAMarkEndsOlderPrograms(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		old := open(t, dsn)
		silent := map[string]string{"0002_next.sql": second, "0003_silent.sql": third}
		if _, err := release(t, dsn, silent).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, steps := range []map[string]string{nil, {"0002_next.sql": second}} {
			if err := release(t, dsn, steps).CheckSchema(t.Context()); !errors.Is(err, ErrNewerSchema) {
				t.Errorf("%d steps: %v", len(steps), err)
			}
		}
		if _, err := old.pool.ExecContext(t.Context(), `DROP TABLE schema_steps`); err != nil {
			t.Fatal(err)
		}
		if err := release(t, dsn, nil).CheckSchema(t.Context()); !errors.Is(err, ErrNewerSchema) {
			t.Errorf("without marks: %v", err)
		}
	})
}
