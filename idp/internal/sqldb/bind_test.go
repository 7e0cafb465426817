package sqldb

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
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

var (
	quotedText = regexp.MustCompile("(?s)`[^`]*`")
	negated    = regexp.MustCompile(`-\s*\?`)
)

// Arguments never become text of a statement (CVE-2024-27289, CVE-2026-41889), and none stands behind a minus sign.
func TestAttack_G13_ArgumentsAreNeverTextOfStatements(t *testing.T) {
	t.Parallel()
	if _, err := postgresDialect("postgres://u@127.0.0.1/db?default_query_exec_mode=simple_protocol"); !errors.Is(err, ErrDSN) {
		t.Errorf("the simple protocol: %v", err)
	}
	if _, err := postgresDialect("postgres://u@127.0.0.1/db"); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob("../store/sqlstore/*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range quotedText.FindAllString(string(text), -1) {
			if negated.MatchString(s) {
				t.Errorf("%s: an argument behind a minus sign: %s", filepath.Base(name), s)
			}
		}
	}
}
