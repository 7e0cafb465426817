package main

import (
	"strings"
	"testing"

	"ellis.example/caseservice/internal/sqldb/pgtest"
)

// Every command does its work over PostgreSQL as it does over a file.
func TestCLI_OverPostgreSQL(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.database = pgtest.Database(t)
	var up struct{ Before, Current, Known int64 }
	o.ok(&up, "migrate", "up")
	if up.Before != 0 || up.Current != up.Known || up.Known == 0 {
		t.Fatalf("%+v", up)
	}
	file := o.write("cases.jsonl", `{"form":"I-765","submitted":"2026-01-05","events":[{"code":"received","at":"2026-01-09T09:00:00Z"}],"claimable":true}`+"\n")
	var done struct {
		Cases []struct {
			Receipt string `json:"receipt"`
		} `json:"cases"`
	}
	o.ok(&done, "case", "import", file, "--code-key-file", o.key)
	if len(done.Cases) != 1 {
		t.Fatalf("%+v", done)
	}
	assign := []string{"case", "assign", done.Cases[0].Receipt, "--sub", "sub-ana", "--database", o.database}
	if r := o.run(assign...); r.status != exitOK {
		t.Fatal(r.err)
	}
	if r := o.run(assign...); r.status != exitFailed || !strings.Contains(r.err, "owner") {
		t.Errorf("a second owner: %d %s", r.status, r.err)
	}
	var report struct {
		Whole   bool
		Records int
	}
	if o.ok(&report, "ledger", "verify"); !report.Whole || report.Records < 2 {
		t.Errorf("%+v", report)
	}
}

func TestConfigShow_HidesThePasswordOfADatabase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sqlite:/a b.db": "sqlite:/a b.db",
		"postgres://u:secret@h/n?sslmode=require": "postgres://u:xxxxx@h/n?sslmode=require",
		"postgres://h/n?password=secret":          "postgres://h/n?password=xxxxx",
		"postgresql://u:sec%zzret@h/n":            "(not a URL)",
		"postgres://u@h/n?sslmode=verify-full":    "postgres://u@h/n?sslmode=verify-full",
	} {
		if got := withoutPassword(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
