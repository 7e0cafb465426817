package sqldb

import (
	"testing"

	"ellis.example/idp/internal/sqldb/pgtest"
)

// A server that was restarted while nothing was written costs nobody an answer: also not the first to write after it, by himself.
func TestCommit_AConnectionThatWasLostIdleCostsNobody(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Database(t))
	var pid int
	for _, name := range []string{"first", "second", "third"} {
		report(t, add(t.Context(), db, name, ""))
		was := pid
		report(t, db.Maintain(t.Context(), func(tx *Tx) error { return tx.Row(`SELECT pg_backend_pid()`).Scan(&pid) }))
		if pid == was {
			t.Fatal("the connection is the one before")
		}
		var ended bool
		report(t, db.Row(t.Context(), `SELECT pg_terminate_backend(?, 5000)`, pid).Scan(&ended))
		if !ended {
			t.Fatal("the connection was not ended")
		}
	}
	report(t, add(t.Context(), db, "after", ""))
	var things, events int
	report(t, db.Row(t.Context(), `SELECT (SELECT count(*) FROM things), (SELECT count(*) FROM events)`).Scan(&things, &events))
	if things != 4 || events != 4 {
		t.Errorf("%d things and %d events", things, events)
	}
}
