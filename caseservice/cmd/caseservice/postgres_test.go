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
	o := newOperator(t)
	for _, dsn := range []string{"postgres://u:s3cret@h/n", "postgres://h/n?password=s3cret"} {
		for _, more := range [][]string{nil, {"--json"}} {
			r := o.run(append([]string{"config", "show", "--database", dsn}, more...)...)
			if r.status != exitOK || strings.Contains(r.out+r.err, "s3cret") || !strings.Contains(r.out, "xxxxx") {
				t.Errorf("%s %v: %d %s %s", dsn, more, r.status, r.out, r.err)
			}
		}
	}
}
