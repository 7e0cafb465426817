package sqlstore_test

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"ellis.example/caseservice/internal/epoch"
)

// going is what a restore does about each table, whose rows are as they were when the copy was made. Who adds a table says
// here what in it may have been used, withdrawn or counted since, and sees to it in epoch.
var going = map[string]string{
	"cases":            "cases that were imported since are named, to be imported again; numbers of events go on behind the lost ones",
	"events":           "those of claims and assignments are made again",
	"parties":          "who got a case since owns it again",
	"appointments":     "they come with the import",
	"claim_codes":      "what was used since is spent again, what was replaced ends; all end, or are kept by decision, where nobody can know",
	"claim_tries":      "they are counted again, or claims wait until they would not count any more",
	"claim_backoffs":   "claims wait until none would count any more",
	"idempotency_keys": "a repeat of a call that is not known is a new call: what it would do twice has an owner already",
	"ledger":           "it goes on behind the copy, with an entry of what was lost",
	"ledger_writers":   "no writer goes on: each process has a chain of its own",
	"epochs":           "each restore begins one, told from others of its number by its time",
	"copies":           "it marks the copy, until it is accepted",
	"schema_steps":     "the same as goose_db_version",
	"goose_db_version": "the schema is checked, and brought up to date",
}

func TestEpoch_SaysOfEachTableWhatGoingBackDoesToIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	open(t, path)
	rows, err := raw(t, path).QueryContext(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if known := slices.Sorted(maps.Keys(going)); !slices.Equal(tables, known) || rows.Err() != nil {
		t.Errorf("tables %v, known %v", tables, known)
	}
}

// No process writes into a copy, and none goes on in an epoch that it has not seen begin, whatever its number is.
func TestEpoch_ACopyAndAnotherEpochAreNotWrittenTo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cases.db")
	st, db := open(t, path), raw(t, path)
	for _, step := range []struct {
		sql  string
		want error
	}{
		{`INSERT INTO copies (at) VALUES (0)`, epoch.ErrCopy},
		{`DELETE FROM copies`, nil},
		{`INSERT INTO epochs (n, at, claims_from) VALUES (1, 7, 0)`, epoch.ErrRaised},
	} {
		if _, err := db.ExecContext(t.Context(), step.sql); err != nil {
			t.Fatal(err)
		}
		if err := st.Commit(t.Context(), look(1)); !errors.Is(err, step.want) {
			t.Errorf("%s: %v", step.sql, err)
		}
	}
	second := open(t, path) // it begins in this epoch
	if err := second.Commit(t.Context(), look(2)); err != nil {
		t.Error(err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE epochs SET at = 8 WHERE n = 1`); err != nil {
		t.Fatal(err)
	}
	if err := second.Commit(t.Context(), look(3)); !errors.Is(err, epoch.ErrRaised) {
		t.Errorf("another epoch of the same number: %v", err)
	}
}
