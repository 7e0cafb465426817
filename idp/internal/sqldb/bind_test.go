package sqldb

import (
	"strings"
	"testing"
)

func TestNumbered(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`SELECT 1`:                          `SELECT 1`,
		`VALUES (?,?)`:                      `VALUES ($1,$2)`,
		`VALUES (?2, ?1, ?2)`:               `VALUES ($2, $1, $2)`,
		`SELECT '?', ? WHERE a = 'it''s ?'`: `SELECT '?', $1 WHERE a = 'it''s ?'`,
		`n = ? FOR UPDATE`:                  `n = $1 FOR UPDATE`,
	} {
		if got := numbered(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func FuzzNumbered(f *testing.F) {
	f.Add(`INSERT INTO t VALUES (?, '?', ?2)`)
	f.Fuzz(func(t *testing.T, query string) {
		got := numbered(query)
		if strings.Count(query, "'")%2 == 0 && !strings.Contains(query, "'") && strings.Contains(got, "?") {
			t.Errorf("%q keeps a place: %q", query, got)
		}
		if len(got) < len(query) {
			t.Errorf("%q lost text: %q", query, got)
		}
	})
}
