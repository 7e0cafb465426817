package sqlstore_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/unit"
)

// Who restores a copy of the time before the last restore counts up to the same epoch again. A replica and what is kept
// outside the database must not take it for the one that was lost.
func TestEpoch_TheSameNumberAfterAnotherRestoreIsAnotherEpoch(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "epoch.db")
	raiser, replica := sqltest.OpenAt(t, file, clock.System{}), sqltest.OpenAt(t, file, clock.System{})
	note := audit.Event{Type: "test.event"}
	raise := func(at time.Time) int64 {
		t.Helper()
		if err := raiser.Commit(t.Context(), unit.Unit{Writes: []unit.Write{epoch.Raise{At: at}}, Event: note}); err != nil {
			t.Fatal(err)
		}
		mark, err := raiser.EpochMark(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return mark
	}
	first := raise(time.Now().Add(-time.Hour))
	if err := replica.Commit(t.Context(), unit.Unit{Event: note}); err != nil { // it begins in this epoch
		t.Fatal(err)
	}
	setBack(t, file)
	second := raise(time.Now())
	if e, err := raiser.Epoch(t.Context()); err != nil || e.N != 1 || first == second {
		t.Errorf("epoch %d (%v), marks %d and %d", e.N, err, first, second)
	}
	if err := replica.Commit(t.Context(), unit.Unit{Event: note}); !errors.Is(err, epoch.ErrRaised) {
		t.Errorf("the replica goes on: %v", err)
	}
	if mark, err := replica.EpochMark(t.Context()); err != nil || mark != second {
		t.Errorf("behind a commit that was refused the replica goes by the mark %d (%v), not by %d", mark, err, second)
	}
}

// No process writes into a copy before it is accepted, and accepting it is no such write.
func TestEpoch_ACopyIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "copy.db")
	st, note := sqltest.OpenAt(t, file, clock.System{}), audit.Event{Type: "test.event"}
	change(t, file, `INSERT INTO copies (at) VALUES (0)`)
	if err := st.Commit(t.Context(), unit.Unit{Event: note}); !errors.Is(err, epoch.ErrCopy) {
		t.Errorf("into a copy: %v", err)
	}
	if err := st.Commit(t.Context(), unit.Unit{Writes: []unit.Write{epoch.Raise{At: time.Now()}}, Event: note}); err != nil {
		t.Fatal(err)
	}
	if err := sqltest.OpenAt(t, file, clock.System{}).Commit(t.Context(), unit.Unit{Event: note}); err != nil {
		t.Errorf("once it is accepted: %v", err)
	}
}

// setBack leaves a database as one that was copied before its first restore has it.
func setBack(t *testing.T, file string) {
	t.Helper()
	change(t, file, `DELETE FROM epochs WHERE n = 1`)
}

// change runs a statement in a database, past the store.
func change(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// An epoch is raised by itself: what is looked at for a batch would be looked at by nobody.
func TestEpoch_RaisingTakesNoConditionOfABatch(t *testing.T) {
	t.Parallel()
	st := sqltest.OpenAt(t, filepath.Join(t.TempDir(), "epoch.db"), clock.System{})
	u := unit.Unit{Writes: []unit.Write{epoch.Raise{At: time.Now()}, grant.MachineStands{JTI: "jti_1"}}, Event: audit.Event{Type: "test.event"}}
	if err := st.Commit(t.Context(), u); err == nil {
		t.Error("it was raised, and nobody looked at the token")
	}
	if e, err := st.Epoch(t.Context()); err != nil || e.N != 0 {
		t.Errorf("epoch %d, %v", e.N, err)
	}
}
