package main

import (
	"database/sql"
	"path/filepath"
	"testing"
)

// wholeDatabase has a token with its event, and a family that was renewed once.
const wholeDatabase = `
CREATE TABLE access_tokens (jti TEXT); CREATE TABLE audit_events (writer INTEGER, body BLOB); CREATE TABLE audit_writers (id INTEGER, name TEXT, head_seq INTEGER);
CREATE TABLE families (id TEXT); CREATE TABLE refresh_tokens (hash BLOB, family TEXT, child BLOB);
INSERT INTO audit_writers VALUES (1, 'wrt_1', 2);
INSERT INTO audit_events VALUES (1, CAST('{"type":"token.issued","jti":"j1"}' AS BLOB)), (1, CAST('{"type":"token.revoked"}' AS BLOB));
INSERT INTO access_tokens VALUES ('j1');
INSERT INTO families VALUES ('f');
INSERT INTO refresh_tokens VALUES (x'01', 'f', x'02'), (x'02', 'f', x'');`

func TestPrefix_FindsWhatIsHalf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil string
		found int
	}{
		"whole":               {"SELECT 1", 0},
		"token without event": {"INSERT INTO access_tokens VALUES ('j2')", 1},
		"successor missing":   {"DELETE FROM refresh_tokens WHERE hash = x'02'", 1},
		"family missing":      {"DELETE FROM families", 1},
		"event missing":       {"DELETE FROM audit_events WHERE CAST(body AS TEXT) LIKE '%revoked%'", 1},
		"head behind":         {"UPDATE audit_writers SET head_seq = 1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "one.db")
			db, err := sql.Open("sqlite", "file:"+file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(wholeDatabase + c.spoil); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			wrong, heads, err := prefix(t.Context(), file)
			if err != nil || len(wrong) != c.found || len(heads) != 1 {
				t.Errorf("%q %v %v", wrong, heads, err)
			}
		})
	}
}
