package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/lines"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/witness"
)

// office is an operator with a service that keeps witnesses, and with people.
type office struct {
	*operator
	issuer         *issuertest.Issuer
	points, export string
	cases          []imported
	p              *process
}

func newOffice(t *testing.T, claimable int) *office {
	t.Helper()
	return newOfficeOn(newOperator(t), claimable)
}

func newOfficeOn(o *operator, claimable int) *office {
	o.t.Helper()
	f := &office{operator: o, issuer: issuertest.Start(o.t, clock.NewFake(time.Now())), points: filepath.Join(o.dir, "points"), export: filepath.Join(o.dir, "export")}
	f.cases = f.add(0, claimable)
	return f
}

// add imports claimable cases.
func (f *office) add(from, n int) []imported {
	f.t.Helper()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, line+"\n", from+i, true)
	}
	var got struct{ Cases []imported }
	f.ok(&got, "case", "import", f.write("import", lines.String()), "--code-key-file", f.key)
	return got.Cases
}

// open serves the database that the office works on.
func (f *office) open() {
	f.t.Helper()
	f.p = f.serve(f.issuer.URL, "--checkpoint-file", f.points, "--ledger-export", f.export)
	f.until(func() bool { _, body := f.p.get(f.p.private + "/readyz"); return !strings.Contains(body, "degraded") })
}

func (f *office) until(holds func() bool) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("not within 10 s: %s", f.p.log)
		}
	}
}

func (f *office) close() {
	f.t.Helper()
	f.p.signal(syscall.SIGTERM)
	if status := f.p.wait(); status != exitOK {
		f.t.Fatalf("status %d: %s", status, f.p.log)
	}
}

func (f *office) token(sub string) string {
	return f.issuer.Sign(f.issuer.Person(sub, "cases:read cases:claim").With("sid", "sid-"+sub))
}

// list returns which cases somebody sees.
func (f *office) list(sub string) string {
	f.t.Helper()
	status, body := f.p.get(f.p.public+"/v1/cases", "Authorization", "Bearer "+f.token(sub))
	if status != http.StatusOK {
		f.t.Errorf("%s: %d %s", sub, status, body)
	}
	return body
}

// claim claims a case with a code and returns the status, and the code of what refused it.
func (f *office) claim(sub string, c imported, code, key string) (int, string) {
	f.t.Helper()
	text, _ := json.Marshal(map[string]string{"receipt": c.Receipt, "code": code})
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, f.p.public+"/v1/claims", bytes.NewReader(text))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + f.token(sub)}, "Idempotency-Key": {key}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Error(err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	var said struct{ Code string }
	body, err := io.ReadAll(res.Body)
	if json.Unmarshal(body, &said) != nil || err != nil {
		f.t.Errorf("%s, %v", body, err)
	}
	if wait := res.Header.Get("Retry-After"); said.Code == "claims_paused" {
		if n, err := strconv.Atoi(wait); err != nil || n < 3000 {
			f.t.Errorf("paused for %s", wait)
		}
	}
	return res.StatusCode, said.Code
}

// wants claims, and demands how that ends: 201 and "", or the status and the code of a refusal.
func (f *office) wants(what, sub string, c imported, code string, status int, fault string) {
	f.t.Helper()
	if got, said := f.claim(sub, c, code, sub+c.ID[4:]+code[:4]); got != status || (fault != "" && said != fault) {
		f.t.Errorf("%s: %d %s, want %d %s", what, got, said, status, fault)
	}
}

// load reads and claims until it is ended, which returns how often.
func (f *office) load(from []imported) (end func() int64) {
	var n atomic.Int64
	stop, next := make(chan struct{}), make(chan imported, len(from))
	for _, c := range from {
		next <- c
	}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case c := <-next:
					if status, said := f.claim("sub-"+c.Receipt, c, c.ClaimCode, "key-"+c.Receipt); status != http.StatusCreated {
						f.t.Errorf("under load: %d %s", status, said)
					}
				default:
					f.list(fmt.Sprint("sub-", i))
				}
				n.Add(1)
			}
		})
	}
	return func() int64 { close(stop); wg.Wait(); return n.Load() }
}

// restored is the office over a restored backup that nobody accepted yet, with copies of the witnesses.
func (f *office) restored(backup string) *office {
	f.t.Helper()
	dir := f.t.TempDir()
	o := *f.operator
	o.dir, o.database = dir, "sqlite:"+filepath.Join(dir, "new.db")
	r := &office{operator: &o, issuer: f.issuer, points: filepath.Join(dir, "points"), export: filepath.Join(dir, "export"), cases: f.cases}
	for to, from := range map[string]string{r.points: f.points, r.export: f.export} {
		text, err := os.ReadFile(from)
		if err := errors.Join(err, os.WriteFile(to, text, 0o600)); err != nil {
			f.t.Fatal(err)
		}
	}
	r.ok(nil, "restore", "--from", backup)
	r.ok(nil, "ledger", "verify")
	return r
}

// refused demands that nobody serves the database with these flags, nor writes into it by a command, before it is accepted.
func (f *office) refused(more ...string) {
	f.t.Helper()
	r := f.shell(nil, append([]string{
		"serve", "--issuer", f.issuer.URL, "--audience", issuertest.Audience, "--database", f.database, "--code-key-file", f.key, "--client-id", issuertest.ClientID,
		"--client-secret-file", f.key, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0",
	}, more...)...)
	if r.status != exitFailed || !strings.Contains(r.err, "caseservice restore --accept") {
		f.t.Errorf("served without being accepted: %d %s", r.status, r.err)
	}
}

// accept is the command line that accepts the database.
func (f *office) accept(more ...string) []string {
	return append([]string{"restore", "--accept", "--code-key-file", f.key, "--checkpoint-file", f.points}, more...)
}

// reopens lets a pause of claims be over.
func (f *office) reopens() { f.t.Helper(); f.sql(`UPDATE epochs SET claims_from = 0`) }

// backups makes backups and looks at each.
func (f *office) backups(n int) (out []string) {
	f.t.Helper()
	for i := range n {
		var made backup
		out = append(out, filepath.Join(f.dir, fmt.Sprint("backup", i)))
		f.ok(&made, "backup", "--to", out[i])
		info, err := os.Stat(out[i])
		if err != nil || info.Mode().Perm() != 0o600 || made.Cases != 24 || made.Ledger.Records < 24 || made.Bytes != info.Size() || len(made.SHA256) != 64 || made.Last.IsZero() {
			f.t.Errorf("%v %+v %v", info, made, err)
		}
	}
	return out
}

// Every backup under load is whole, and nothing that was used, lost or revoked after it comes back once it is accepted.
func TestFault_F11_CaseBackupsUnderLoadBringNothingBack(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 24)
	f.open()
	end := f.load(f.cases[4:])
	const many = 10
	backups := f.backups(many)
	if n := end(); n < many {
		t.Errorf("only %d answers meanwhile", n)
	}
	if r := f.run("backup", "--to", backups[0], "--database", f.database); r.status != exitFailed || !strings.Contains(r.err, "exist") {
		t.Errorf("a backup is overwritten: %d %s", r.status, r.err)
	}
	// What is lost.
	f.wants("ana", "ana", f.cases[0], f.cases[0].ClaimCode, http.StatusCreated, "")
	for i := range 3 {
		f.wants("a guess", "eve", f.cases[1], f.cases[i+4].ClaimCode, http.StatusUnprocessableEntity, "claim_not_accepted")
	}
	f.ok(nil, "case", "assign", f.cases[2].Receipt, "--sub", "bob")
	var fresh struct{ Cases []imported }
	f.ok(&fresh, "case", "code", f.cases[3].Receipt, "--code-key-file", f.key)
	gone := f.add(500, 1)[0]
	claims := f.issuer.Person("mallory", "cases:read").With("sid", "sid-mallory")
	revoked := f.issuer.Sign(claims)
	f.issuer.Deactivate(claims["jti"])
	f.issuer.Revoke(issuertest.SessionRevoked, "sid-mallory")
	f.until(func() bool {
		status, _ := f.p.get(f.p.public+"/v1/cases", "Authorization", "Bearer "+revoked)
		return status == http.StatusUnauthorized
	})
	f.close()
	for i, file := range backups {
		r := f.restored(file)
		if i == 0 || i == many-1 {
			r.bringsNothingBack(gone.ID, revoked)
		}
	}
}

// bringsNothingBack accepts the database by its witnesses and looks at everything that must not come back.
func (f *office) bringsNothingBack(gone, revoked string) {
	f.t.Helper()
	f.refused()
	f.refused("--checkpoint-file", f.points)
	if n := f.count(`SELECT count(*) FROM schema_steps`); n != 0 {
		f.t.Errorf("%d steps promise that an older release works with a copy", n)
	}
	for _, args := range [][]string{{"case", "assign", f.cases[1].Receipt, "--sub", "eve"}, {"case", "code", f.cases[1].Receipt, "--code-key-file", f.key}} {
		if r := f.run(append(args, "--database", f.database)...); r.status != exitFailed || !strings.Contains(r.err, "restored") {
			f.t.Errorf("%v writes into a copy: %d %s", args, r.status, r.err)
		}
	}
	var done acceptance
	f.ok(&done, f.accept("--ledger", f.export)...)
	if done.Epoch != 1 || done.Lost < 8 || done.Unused != "known" || done.Tries != 3 || len(done.Gone) != 1 || done.Gone[0] != gone || len(done.Codes) != 1 {
		f.t.Errorf("%+v", done)
	}
	var report struct {
		Whole    bool
		Restores []struct {
			Lost int64 `json:"lost_at_least"`
		}
	}
	f.ok(&report, "ledger", "verify", "--checkpoint-file", f.points, "--code-key-file", f.key)
	if !report.Whole || len(report.Restores) != 1 || report.Restores[0].Lost < 8 {
		f.t.Errorf("%+v", report)
	}
	if n := f.count(`SELECT count(*) FROM ledger WHERE act = 'restore.accept' AND actor LIKE 'operator:%' AND reason LIKE 'epoch=1,since=20%,codes=known'`); n != 1 {
		f.t.Errorf("%d entries of the restore", n)
	}
	f.servesWhatIsKnown(revoked)
}

// servesWhatIsKnown serves the database that was accepted.
func (f *office) servesWhatIsKnown(revoked string) {
	f.t.Helper()
	f.p = f.serve(f.issuer.URL, "--checkpoint-file", f.points, "--ledger-export", f.export)
	if status, body := f.p.get(f.p.public+"/v1/cases", "Authorization", "Bearer "+revoked); status == http.StatusOK {
		f.t.Errorf("a revoked token came back: %d %s", status, body)
	}
	f.until(func() bool { _, body := f.p.get(f.p.private + "/readyz"); return !strings.Contains(body, "degraded") })
	f.peopleHaveTheirs()
	f.wants("a claim at once", "eve", f.cases[1], f.cases[1].ClaimCode, http.StatusServiceUnavailable, "claims_paused")
	f.reopens()
	f.wants("the code that ana used", "carl", f.cases[0], f.cases[0].ClaimCode, http.StatusUnprocessableEntity, "claim_not_accepted")
	f.wants("the code that was replaced", "carl", f.cases[3], f.cases[3].ClaimCode, http.StatusUnprocessableEntity, "claim_not_accepted")
	for i := range 3 {
		status, fault := http.StatusUnprocessableEntity, "claim_not_accepted"
		if i == 2 {
			status, fault = http.StatusTooManyRequests, "too_many_tries"
		}
		f.wants(fmt.Sprint("try ", i+4, " of eve"), "eve", f.cases[i+1], f.cases[i+8].ClaimCode, status, fault)
	}
	f.wants("a code that nobody used", "dora", f.cases[1], f.cases[1].ClaimCode, http.StatusCreated, "")
	f.close()
	f.ok(nil, "ledger", "verify", "--checkpoint-file", f.points, "--code-key-file", f.key)
}

// peopleHaveTheirs looks for what was lost and is known.
func (f *office) peopleHaveTheirs() {
	f.t.Helper()
	for sub, c := range map[string]imported{"ana": f.cases[0], "bob": f.cases[2], "sub-" + f.cases[9].Receipt: f.cases[9]} {
		if body := f.list(sub); !strings.Contains(body, c.ID) {
			f.t.Errorf("%s has lost a case: %s", sub, body)
		}
	}
	if n := f.count(`SELECT count(*) FROM claim_codes WHERE used_by = 'ana' AND used_at > 0`); n != 1 {
		f.t.Errorf("ana used %d codes", n)
	}
	for _, c := range []int{0, 2} {
		if n := f.count(fmt.Sprintf(`SELECT count(*) FROM events WHERE case_id = '%s' AND code IN ('claimed', 'assigned') AND seq > 1000`, f.cases[c].ID)); n != 1 {
			f.t.Errorf("case %d: %d events behind the gap", c, n)
		}
	}
}

// asksForAChoice looks at what is not accepted as it is asked.
func (f *office) asksForAChoice(saved, short string) {
	f.t.Helper()
	for says, args := range map[string][]string{
		"no exported ledger":         f.accept(),
		"the export of writer":       f.accept("--ledger", short),
		"no signed checkpoint":       {"restore", "--accept", "--code-key-file", f.key, "--ledger", f.export},
		"with --checkpoints-lost":    {"restore", "--accept", "--code-key-file", f.key, "--ledger", f.export, "--checkpoint-file", f.points + ",/nonexistent/points"},
		"points2 is lost":            {"restore", "--accept", "--code-key-file", f.key, "--ledger", f.export, "--checkpoint-file", f.points + "," + f.points + "2", "--checkpoints-lost"},
		"write 32 random bytes":      {"restore", "--accept", "--code-key-file", f.write("short.key", "abcd"), "--ledger", f.export, "--checkpoint-file", f.points},
		"the last checkpoint":        {"restore", "--accept", "--code-key-file", f.write("other.key", strings.Repeat("cd", 32)), "--ledger", f.export, "--checkpoint-file", f.points},
		"end or keep":                f.accept("--unknown", "maybe"),
		"is in this place: move it ": {"restore", "--from", saved},
	} {
		if got := f.run(append(args, "--database", f.database)...); got.status == exitOK || !strings.Contains(got.err, says) {
			f.t.Errorf("%s: %d %s", says, got.status, got.err)
		}
	}
}

// Where nobody can know which codes were used, the operator says what becomes of them.
func TestRestore_WithoutAnExportUnusedCodesEndOrAreKept(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 6)
	f.open()
	saved := filepath.Join(f.dir, "saved")
	f.ok(nil, "backup", "--to", saved)
	f.wants("ana", "ana", f.cases[0], f.cases[0].ClaimCode, http.StatusCreated, "")
	f.close()
	text, err := os.ReadFile(f.export)
	if err != nil {
		t.Fatal(err)
	}
	short := f.write("short", string(text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]))
	for _, unknown := range []string{"end", "keep"} {
		r := f.restored(saved)
		r.asksForAChoice(saved, short)
		var done acceptance
		r.ok(&done, r.accept("--unknown", unknown)...)
		if until := time.Until(done.ClaimsFrom); until < 23*time.Hour || done.Lost < 1 {
			t.Errorf("%+v", done)
		}
		r.open()
		r.wants("a claim at once", "carl", f.cases[1], f.cases[1].ClaimCode, http.StatusServiceUnavailable, "claims_paused")
		r.reopens()
		if unknown == "keep" {
			r.wants("a kept code", "carl", f.cases[1], f.cases[1].ClaimCode, http.StatusCreated, "")
			r.close()
			continue
		}
		r.wants("an ended code", "carl", f.cases[1], f.cases[1].ClaimCode, http.StatusUnprocessableEntity, "claim_not_accepted")
		var fresh struct{ Cases []imported }
		r.ok(&fresh, "case", "code", "--ended", "--code-key-file", f.key)
		if len(fresh.Cases) != 6 {
			t.Errorf("%d new codes", len(fresh.Cases))
		}
		r.wants("a new code", "dora", fresh.Cases[1], fresh.Cases[1].ClaimCode, http.StatusCreated, "")
		r.close()
	}
}

// A database that is set back underneath a running service is not written to any more, until it is accepted.
func TestFault_F11_ARunningCaseServiceStopsWhenItsDatabaseIsSetBack(t *testing.T) {
	t.Parallel()
	f := newOffice(t, 1)
	clk := clock.NewFake(time.Now())
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{Database: f.database, Role: "serve", Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := settings{checkpoints: f.points, export: f.export, logFormat: "json", logLevel: "error"}
	w, err := s.witnesses(t.Context(), store, bytes.Repeat([]byte{0xab}, 32), clk, s.logger(lines.New(io.Discard)))
	if err != nil {
		t.Fatal(err)
	}
	commit := func() error { return store.Commit(t.Context(), unit.Unit{Event: operation("test")}) }
	if err := errors.Join(commit(), commit()); err != nil {
		t.Fatal(err)
	}
	if err := w.points.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.sql(`DROP TRIGGER ledger_no_delete; DELETE FROM ledger WHERE act = 'test' AND seq = 2; UPDATE ledger_writers SET seq = 1, hash = (SELECT hash FROM ledger WHERE act = 'test') WHERE seq = 2`)
	signed := w.points.Once(t.Context())
	if err := commit(); !errors.Is(err, epoch.ErrSetBack) || !errors.Is(signed, witness.ErrSetBack) || !store.Halted() {
		t.Fatalf("it goes on: %v", err)
	}
	clk.Advance(witness.CheckpointLate + time.Second)
	if got := w.problems(); !slices.Equal(got, []string{"ledger checkpoints", "ledger export"}) {
		t.Errorf("it names %v", got)
	}
	f.refused("--checkpoint-file", f.points)
	f.ok(nil, f.accept("--unknown", "keep")...)
	if err := commit(); !errors.Is(err, epoch.ErrRaised) {
		t.Errorf("what was read before the restore is committed: %v", err)
	}
	clk.Advance(epoch.Settle + time.Second)
	if err := w.finish(t.Context()); err != nil {
		t.Error(err)
	}
	if err := commit(); err != nil || store.Halted() || len(w.problems()) != 0 {
		t.Errorf("it does not go on: %v, %v", err, w.problems())
	}
}
