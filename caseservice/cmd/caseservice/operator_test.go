package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
)

const line = `{"form":"I-765","submitted":"2026-08-03","receipt":"IOE%010d","claimable":%v,"events":[{"code":"received","at":"2026-08-07T14:00:00Z"}]}`

func TestImport_GivesEachClaimableCaseACodeThatIsShownOnce(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	file := o.write("cases.jsonl", fmt.Sprintf(line, 1, true)+"\n\n  "+fmt.Sprintf(line, 2, false)+"\r\n"+`{"form":"N-400","submitted":"2026-08-03","office":"MSC","claimable":true}`)
	var got struct{ Cases []imported }
	o.ok(&got, "case", "import", file, "--code-key-file", o.key)
	if len(got.Cases) != 3 || got.Cases[0].Receipt != "IOE0000000001" || got.Cases[1].ClaimCode != "" || !strings.HasPrefix(got.Cases[2].Receipt, "MSC") {
		t.Fatalf("%+v", got)
	}
	for _, c := range []imported{got.Cases[0], got.Cases[2]} {
		if _, err := paper.ParseClaimCode(c.ClaimCode); err != nil || !strings.HasPrefix(c.ID, "cas_") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if n := o.count("SELECT COUNT(*) FROM ledger WHERE act = 'case.import' AND actor LIKE 'operator:%'"); n != 3 {
		t.Errorf("%d entries", n)
	}
	r := o.feed(fmt.Sprintf(line, 3, false), "case", "import", "-", "--database", o.database) // no key is needed where no code is made
	if r.status != exitOK || !strings.Contains(r.out, "RECEIPT") || !strings.Contains(r.out, "IOE0000000003") {
		t.Errorf("%d %s %s", r.status, r.out, r.err)
	}
}

func TestImport_WrongLineIsNamedAndNothingIsImported(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.ok(nil, "migrate", "up")
	good := fmt.Sprintf(line, 1, true)
	bad := func(old, fresh string) string { return strings.Replace(fmt.Sprintf(line, 2, true), old, fresh, 1) }
	for name, tc := range map[string]struct{ text, says string }{
		"no JSON":               {"{", ":3: "},
		"two objects":           {good + good, "one JSON object a line"},
		"unknown member":        {bad(`"form"`, `"e_mail":"a@b.example","form"`), "e_mail"},
		"unknown form":          {bad("I-765", "I-999"), "I-999"},
		"wrong receipt":         {bad("IOE0000000002", "IOE2"), "receipt"},
		"submitted tomorrow":    {bad("2026-08-03", "2999-01-01"), "submitted"},
		"event before the last": {bad("2026-08-07T14", "2026-08-01T14"), "events[0]"},
		"event of the future":   {bad("2026-08-07T14", "2999-08-07T14"), "events[0]"},
		"step that is none":     {bad(`"received"`, `"approved"`), "events[0]: code"},
		"wrong day":             {bad(`"code":"received"`, `"code":"received","until":"soon"`), "until"},
		"wrong office":          {bad(`"receipt":"IOE0000000002"`, `"office":"X1"`), "office"},
		"appointment":           {bad(`"events"`, `"appointments":[{"kind":"party"}],"events"`), "appointments[0]: kind"},
		"appointment undated":   {bad(`"events"`, `"appointments":[{"kind":"oath","place":"x","address":"y"}],"events"`), "appointments[0]: at"},
		"far too long":          {`{"form":"` + strings.Repeat("x", 2<<20) + `"}`, "too long"},
		"receipt twice":         {good, "there is a case with this receipt number already"},
	} {
		r := o.feed(good+"\n\n"+tc.text+"\n", "case", "import", "-", "--database", o.database, "--code-key-file", o.key, "--json")
		if r.status != exitFailed || !strings.Contains(r.err, tc.says) {
			t.Errorf("%s: %d %s", name, r.status, r.err)
		}
		if name != "far too long" && !strings.Contains(r.err, "-:3") {
			t.Errorf("%s: the line is not named: %s", name, r.err)
		}
		if strings.Contains(r.out, "claim_code") {
			t.Errorf("%s: a code is printed: %s", name, r.out)
		}
	}
	r := o.feed(strings.Repeat("{\n"+good+"\n", 30), "case", "import", "-", "--database", o.database, "--code-key-file", o.key)
	if !strings.Contains(r.err, "-:1: ") || !strings.Contains(r.err, "-:39: ") || strings.Contains(r.err, "-:41: ") || !strings.Contains(r.err, "and 10 more") {
		t.Errorf("the wrong lines: %s", r.err)
	}
	if n := o.count("SELECT (SELECT COUNT(*) FROM cases) + (SELECT COUNT(*) FROM ledger)"); n != 0 {
		t.Errorf("%d rows were written", n)
	}
	if r := o.feed(good, "case", "import", "-", "--database", o.database); r.status != exitConfig || o.count("SELECT COUNT(*) FROM cases") != 0 {
		t.Errorf("without a key: %d %s", r.status, r.err)
	}
	if r := o.feed(good, "case", "import", "-", "--database", o.database, "--code-key-file", o.key); r.status != exitOK {
		t.Fatalf("%d %s", r.status, r.err)
	}
	if r := o.feed(fmt.Sprintf(line, 7, false)+"\n"+good, "case", "import", "-", "--database", o.database, "--code-key-file", o.key); r.status != exitFailed || o.count("SELECT COUNT(*) FROM cases") != 1 {
		t.Errorf("a receipt that is taken: %d %s", r.status, r.err)
	}
}

func TestAssign_OneOwnerAndEveryTryIsInTheLedger(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	var got struct{ Cases []imported }
	o.ok(&got, "case", "import", o.write("c", fmt.Sprintf(line, 1, false)+"\n"+fmt.Sprintf(line, 2, false)))
	var assigned struct{ ID, Receipt, Sub string }
	o.ok(&assigned, "case", "assign", "ioe-000-000-0001", "--sub", "sub-ana")
	if assigned.ID != got.Cases[0].ID || assigned.Receipt != "IOE0000000001" || assigned.Sub != "sub-ana" {
		t.Errorf("%+v", assigned)
	}
	o.ok(&assigned, "case", "assign", got.Cases[1].ID, "--sub", "sub-ana")
	for _, sub := range []string{"sub-bob", "sub-ana"} {
		if r := o.run("case", "assign", "IOE0000000001", "--sub", sub, "--database", o.database); r.status != exitFailed || !strings.Contains(r.err, "has an owner already") {
			t.Errorf("%s: %d %s", sub, r.status, r.err)
		}
	}
	o.run("case", "assign", "IOE0000000009", "--sub", "sub-bob", "--database", o.database)
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM ledger WHERE act = 'case.assign' AND outcome = 'allowed'":                          2,
		"SELECT COUNT(*) FROM ledger WHERE act = 'case.assign' AND outcome = 'refused' AND reason = 'has_owner'": 2,
		"SELECT COUNT(*) FROM ledger WHERE act = 'case.assign' AND reason = 'unknown_case'":                      1,
		"SELECT COUNT(*) FROM ledger WHERE sub LIKE '%IOE%' OR reason LIKE '%IOE%'":                              0,
	} {
		if n := o.count(query); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
}

func TestLedger_TailTraceAndVerify(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	var got struct{ Cases []imported }
	for i := range 5 {
		o.ok(&got, "case", "import", o.write("c", fmt.Sprintf(line, i, false)))
	}
	o.ok(nil, "case", "assign", "IOE0000000000", "--sub", "sub-ana")
	db := []string{"--database", o.database}
	r := o.run(append([]string{"ledger", "tail", "-n", "2", "--json"}, db...)...)
	var last []ledger.Stored
	for text := range strings.Lines(r.out) {
		var e ledger.Stored
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		last = append(last, e)
	}
	if len(last) != 2 || last[0].Act != "case.import" || last[1].Act != "case.assign" || last[1].Sub != "sub-ana" || time.Since(last[1].At) > time.Hour {
		t.Errorf("%+v", last)
	}
	if r := o.run(append([]string{"ledger", "tail"}, db...)...); strings.Count(r.out, "\n") != 6 || !strings.Contains(r.out, "case.assign") {
		t.Error(r.out)
	}
	for _, id := range []string{"txn-nobody", "-akSpmSREzIZUz-RZgt3KVdiP88nQ_oKLy73-ers1GU"} {
		if r := o.run(append([]string{"ledger", "trace", id}, db...)...); r.status != exitOK || !strings.Contains(r.err, "no entry") {
			t.Errorf("%d %s", r.status, r.err)
		}
	}
	var report struct {
		Whole            bool
		Writers, Records int
		Broken           *brokenAt
	}
	o.ok(&report, "ledger", "verify")
	if !report.Whole || report.Records != 6 || report.Writers != 6 || report.Broken != nil {
		t.Errorf("%+v", report)
	}
	o.sql("DROP TRIGGER ledger_no_update; UPDATE ledger SET sub = 'sub-bob' WHERE sub = 'sub-ana'")
	r = o.run(append([]string{"ledger", "verify", "--json"}, db...)...)
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.status != exitFailed || report.Whole || report.Broken == nil || report.Broken.Writer != last[1].Writer || report.Broken.Seq != 1 {
		t.Errorf("%d %s %s", r.status, r.out, r.err)
	}
	if r := o.run(append([]string{"ledger", "verify"}, db...)...); r.status != exitFailed || r.out != "" || !strings.Contains(r.err, last[1].Writer) {
		t.Errorf("%d %s %s", r.status, r.out, r.err)
	}
}
