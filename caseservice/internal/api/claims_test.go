package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/unit"
)

const racers = 64

// claim posts the code of a case.
func (s *service) claim(token, key string, c seeded, more ...header) answer {
	s.t.Helper()
	body := fmt.Sprintf(`{"receipt":%q,"code":%q}`, c.Case.Receipt, c.code)
	return s.do(http.MethodPost, "/v1/claims", token, body, append(more, header{"Idempotency-Key", key})...)
}

// with returns c with another code.
func (c seeded) with(code string) seeded { c.code = code; return c }

func fresh() string { return paper.NewClaimCode().Grouped() }

// race runs f racers times at once and counts the answers by status and code.
func race(f func(i int) answer) map[string]int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	out := map[string]int{}
	for i := range racers {
		wg.Go(func() {
			a := f(i)
			mu.Lock()
			defer mu.Unlock()
			out[strings.TrimSpace(fmt.Sprint(a.status, " ", a.code()))]++
		})
	}
	wg.Wait()
	return out
}

func TestClaim_GivesTheCaseToTheCaller(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.person("p1", "cases:read cases:claim")
	if a := s.get("/v1/cases/"+c.Case.ID, token); a.status != http.StatusNotFound {
		t.Fatal(a.status)
	}
	a := s.claim(token, "k-00000001", c)
	var got struct{ Case caseBody }
	a.into(t, &got)
	where := a.header.Get("Location")
	if a.status != http.StatusCreated || got.Case.ID != c.Case.ID || got.Case.UpdatedAt != "2026-11-24T12:00:00Z" || where != "/v1/cases/"+c.Case.ID || a.header.Get("ETag") != "" {
		t.Fatalf("%d %s %s", a.status, where, a.body)
	}
	if a := s.get(where, token); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
	var events eventPage
	s.get(where+"/events", token).into(t, &events)
	if n := len(events.Items); n != 4 || events.Items[3].Code != cases.NoticeClaimed {
		t.Errorf("%+v", events)
	}
}

func TestClaim_ForgivesHowPeopleType(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for n, f := range map[int]func(string) string{1: strings.ToLower, 2: func(c string) string { return " " + strings.ReplaceAll(c, "-", " ") }, 3: func(c string) string { return strings.ReplaceAll(c, "-", "") }} {
		c := s.seed(n, "")
		body := fmt.Sprintf("\n\t {\"receipt\":\"ioe-%s\",\"code\":%q}\n ", c.Case.Receipt[3:], f(c.code))
		if a := s.do(http.MethodPost, "/v1/claims", s.person("p1", cases.ScopeClaim), body, header{"Idempotency-Key", fmt.Sprint("k-0000000", n)},
			header{"Content-Type", ""}, header{"Content-Type", "application/json; charset=UTF-8"}); a.status != http.StatusCreated {
			t.Errorf("%d: %d %s", n, a.status, a.body)
		}
	}
}

func TestClaim_EveryRefusalIsOneAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	open, owned, used, expired := s.seed(1, ""), s.seed(2, "p2"), s.seed(3, ""), s.seed(4, "")
	if a := s.claim(s.person("p3", cases.ScopeClaim), "k-00000001", used); a.status != http.StatusCreated {
		t.Fatal(a.status)
	}
	if _, err := s.db.Exec("UPDATE claim_codes SET expires_at = ? WHERE case_id = ?", start.UnixMicro(), expired.Case.ID); err != nil {
		t.Fatal(err)
	}
	unknown := open
	unknown.Case.Receipt = "IOE9999999999"
	uncoded := s.seed(5, "")
	if _, err := s.db.Exec("DELETE FROM claim_codes WHERE case_id = ?", uncoded.Case.ID); err != nil {
		t.Fatal(err)
	}
	var want answer
	for i, c := range []seeded{open.with(fresh()), unknown, owned, used, expired, uncoded, open.with(owned.code)} {
		got := s.claim(s.person(fmt.Sprint("try", i), cases.ScopeClaim), "k-00000001", c)
		if i == 0 {
			want = got
		}
		if got.status != http.StatusUnprocessableEntity || got.code() != "claim_not_accepted" || !sameAnswer(got, want) {
			t.Errorf("%d: %d %s\n%v", i, got.status, got.body, got.header)
		}
	}
}

// The number of commits is what a stopwatch would see.
func TestClaim_UnknownReceiptCostsAsManyCommitsAsAWrongCode(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	commits := func(sub string, c seeded) (n int) {
		s.commit.before = func(unit.Unit) error { n++; return nil }
		defer func() { s.commit.before = nil }()
		if a := s.claim(s.person(sub, cases.ScopeClaim), "k-00000001", c); a.code() != "claim_not_accepted" {
			t.Error(a.status)
		}
		return n
	}
	unknown := c
	unknown.Case.Receipt = "IOE9999999999"
	if a, b := commits("p1", c.with(fresh())), commits("p2", unknown); a != b || a != 3 {
		t.Errorf("%d and %d commits", a, b)
	}
}

func TestClaim_RaceOf64PeopleHasOneWinner(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	tokens := make([]string, racers)
	for i := range tokens {
		tokens[i] = s.person(fmt.Sprint("p", i), cases.ScopeClaim)
	}
	got := race(func(i int) answer { return s.claim(tokens[i], "k-00000001", c) })
	if got["201"] != 1 || got["201"]+got["422 claim_not_accepted"]+got["429 slow_down"] != racers {
		t.Errorf("%v", got)
	}
	var owners int
	if err := s.db.QueryRow("SELECT COUNT(*) FROM parties WHERE case_id = ?", c.Case.ID).Scan(&owners); err != nil || owners != 1 {
		t.Errorf("%d owners, %v", owners, err)
	}
}

func TestClaim_RaceOf64RepeatsHasOneEffectAndOneOutcome(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.person("p1", cases.ScopeClaim)
	got := race(func(int) answer { return s.claim(token, "k-00000001", c) })
	// Whoever comes in the middle is told to wait; nobody is refused, and nobody spends a second try.
	if got["201"] < 1 || got["201"]+got["409 request_in_progress"]+got["409 case_already_yours"] != racers {
		t.Errorf("%v", got)
	}
	a := s.claim(token, "k-00000001", c)
	if a.status != http.StatusCreated || a.header.Get("Location") != "/v1/cases/"+c.Case.ID {
		t.Errorf("%d %s", a.status, a.body)
	}
	var events int
	if err := s.db.QueryRow("SELECT COUNT(*) FROM events WHERE case_id = ? AND code = ?", c.Case.ID, cases.NoticeClaimed).Scan(&events); err != nil || events != 1 {
		t.Errorf("claimed %d times, %v", events, err)
	}
}

func TestAttack_F08_ParallelGuessesAreCountedExactly(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *service{"sqlite": newService, "postgres": newPair} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			countedExactly(t, open(t))
		})
	}
}

// countedExactly fails the test if guesses of one person at once, at any replica, are looked at more often than one after another.
func countedExactly(t *testing.T, s *service) {
	receipts := make([]seeded, racers) // different ones, so that the back-off of one does not hide the limit of the person
	for i := range receipts {
		receipts[i] = s.seed(i+1, "").with(fresh())
	}
	token := s.person("p1", cases.ScopeClaim)
	got := race(func(i int) answer { return s.claim(token, fmt.Sprintf("k-%08d", i), receipts[i]) })
	if got["422 claim_not_accepted"] != cases.MaxTries || got["429 too_many_tries"] != racers-cases.MaxTries {
		t.Errorf("%v", got)
	}
	a := s.claim(token, "k-afterwards", receipts[0])
	if a.code() != "too_many_tries" || a.header.Get("Retry-After") != "86400" {
		t.Errorf("%d %s", a.status, a.header.Get("Retry-After"))
	}
	s.issuer.Clock.Advance(cases.TryWindow)
	if a := s.claim(s.person("p1", cases.ScopeClaim), "k-tomorrow", receipts[0]); a.code() != "claim_not_accepted" {
		t.Errorf("a day later: %d %s", a.status, a.body)
	}
}

func TestClaim_BackOffForAReceiptIsShortAndNeverALock(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	for i := range cases.FreeTries {
		if a := s.claim(s.person(fmt.Sprint("p", i), cases.ScopeClaim), "k-00000001", c.with(fresh())); a.code() != "claim_not_accepted" {
			t.Fatalf("%d: %d %s", i, a.status, a.body)
		}
	}
	a := s.claim(s.person("owner", cases.ScopeClaim), "k-00000001", c)
	if a.code() != "slow_down" || a.header.Get("Retry-After") != "1" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.issuer.Clock.Advance(time.Second)
	if a := s.claim(s.person("owner", cases.ScopeClaim), "k-00000001", c); a.status != http.StatusCreated {
		t.Errorf("the owner is locked out: %d %s", a.status, a.body)
	}
}

func TestClaim_RefusalsThatSpendNoTry(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.person("p1", cases.ScopeClaim)
	slip := []byte(c.code)
	slip[0] = "01"[int(slip[0])&1] // another character, whichever it was
	if string(slip) == c.code {
		slip[0] = '2'
	}
	for i := range 2 * cases.MaxTries {
		a := s.claim(token, fmt.Sprintf("k-%08d", i), c.with(string(slip)))
		if a.status != http.StatusBadRequest || a.code() != "invalid_request" || !bytes.Contains(a.body, []byte(`"pointer":"/code","code":"code_checksum"`)) {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := s.claim(token, "k-00000001", c); a.status != http.StatusCreated {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.claim(token, "k-00000002", c.with(fresh())); a.code() != "case_already_yours" || a.status != http.StatusConflict {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestClaim_RepeatHasTheOutcomeOfTheFirst(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c, d := s.seed(1, ""), s.seed(2, "")
	token := s.person("p1", cases.ScopeClaim)
	for range 2 * cases.MaxTries { // repeats cost no try
		if a := s.claim(token, "k-wrong-one", c.with("0000-0000-0000-0000-0000-"+checksumOf(t))); a.code() != "claim_not_accepted" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for range 3 {
		if a := s.claim(token, "k-right-one", c); a.status != http.StatusCreated || a.header.Get("Location") != "/v1/cases/"+c.Case.ID {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := s.claim(token, "k-right-one", d); a.code() != "idempotency_key_reused" || a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), `"pointer":"Idempotency-Key"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.claim(s.person("p2", cases.ScopeClaim), "k-right-one", d); a.status != http.StatusCreated {
		t.Errorf("the key of one person binds another: %d %s", a.status, a.body)
	}
	s.issuer.Clock.Advance(cases.KeyLife)
	e := s.seed(3, "")
	if a := s.claim(s.person("p1", cases.ScopeClaim), "k-right-one", e); a.status != http.StatusCreated {
		t.Errorf("a day later: %d %s", a.status, a.body)
	}
}

// checksumOf finds the last group of the code whose random part is all zeros.
func checksumOf(t *testing.T) string {
	t.Helper()
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	for i := range 1 << 20 {
		group := string([]byte{alphabet[i>>15], alphabet[i>>10&31], alphabet[i>>5&31], alphabet[i&31]})
		if _, err := paper.ParseClaimCode("00000000000000000000" + group); err == nil {
			return group
		}
	}
	t.Fatal("no checksum")
	return ""
}

func TestClaim_RepeatAfterACallThatDiedTakesOver(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.issuer.Sign(s.issuer.Person("p1", cases.ScopeClaim))
	n := 0
	s.commit.before = func(unit.Unit) error { // the second commit never comes
		if n++; n == 2 {
			return errors.New("the disk is gone")
		}
		return nil
	}
	if a := s.claim(token, "k-00000001", c); a.code() != "store_unavailable" || a.status != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.commit.before = nil
	if a := s.claim(token, "k-00000001", c); a.code() != "request_in_progress" || a.status != http.StatusConflict {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.issuer.Clock.Advance(cases.KeyPatience)
	if a := s.claim(token, "k-00000001", c); a.status != http.StatusCreated {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestClaim_RefusesWhatIsNoClaim(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	token := s.person("p1", cases.ScopeClaim)
	good := fmt.Sprintf(`{"receipt":%q,"code":%q}`, c.Case.Receipt, c.code)
	for body, pointer := range map[string]string{
		"": "", "null": "", "[]": "", "[" + good + "]": "", good + good: "", good + "x": "", `"x"`: "", "{": "", "\xff" + good: "", `{"receipt":"a","receipt":"b","code":"c"}`: "",
		"{}": "/receipt", `{"receipt":1,"code":"x"}`: "/receipt", `{"receipt":null,"code":null}`: "/code", `{"Receipt":"IOE0000000001","code":"x"}`: "/receipt", `{"receipt":"IOE1","code":"x"}`: "/receipt",
		strings.TrimSuffix(good, "}") + `,"sub":"p2"}`: "/sub", strings.TrimSuffix(good, "}") + `,"a/b~c":1}`: "/a~1b~0c", strings.TrimSuffix(good, "}") + `,"":1}`: "/",
		`{"receipt":"` + strings.Repeat("A", 100) + `","code":"x"}`: "/receipt",
	} {
		a := s.do(http.MethodPost, "/v1/claims", token, body, header{"Idempotency-Key", "k-00000001"}, header{"Content-Type", ""}, header{"Content-Type", "application/json"})
		if a.status != http.StatusBadRequest || a.code() != "invalid_request" || !strings.Contains(string(a.body), `"pointer":"`+pointer+`"`) {
			t.Errorf("%.60q: %d %s", body, a.status, a.body)
		}
	}
	if a := s.do(http.MethodPost, "/v1/claims", token, `{"x":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+`}`, header{"Idempotency-Key", "k-00000001"}); a.status != http.StatusBadRequest || a.code() != "json_depth" {
		t.Errorf("nested deeply: %d %s", a.status, a.body)
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonp", "multipart/form-data; boundary=x", "application/json;", "json", "*/*"} {
		a := s.do(http.MethodPost, "/v1/claims", token, good, header{"Idempotency-Key", "k-00000001"}, header{"Content-Type", ""}, header{"Content-Type", kind})
		if kind == "application/json;" {
			continue // lenient by the library, and harmless
		}
		if a.status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d %s", kind, a.status, a.body)
		}
	}
	for key, code := range map[string]string{"": "idempotency_key_required", "short": "invalid_request", strings.Repeat("k", 129): "invalid_request", "with a space": "invalid_request", "nön-ascii-key": "invalid_request"} {
		a := s.do(http.MethodPost, "/v1/claims", token, good, header{"Idempotency-Key", key})
		if a.status != http.StatusBadRequest || a.code() != code || !strings.Contains(string(a.body), `"pointer":"Idempotency-Key"`) {
			t.Errorf("key %q: %d %s", key, a.status, a.body)
		}
	}
	if a := s.claim(token, "k-00000001", c, header{"Idempotency-Key", "k-00000002"}); a.code() != "invalid_request" {
		t.Errorf("two keys: %d %s", a.status, a.body)
	}
}

func TestClaim_BodyHasALimit(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "")
	good := fmt.Sprintf(`{"receipt":%q,"code":%q}`, c.Case.Receipt, c.code)
	token := s.person("p1", cases.ScopeClaim)
	for _, n := range []int{4097, 1 << 20} {
		a := s.do(http.MethodPost, "/v1/claims", token, strings.Repeat(" ", n-len(good))+good, header{"Idempotency-Key", "k-00000001"})
		if a.status != http.StatusRequestEntityTooLarge || a.code() != "body_too_large" {
			t.Errorf("%d bytes: %d %s", n, a.status, a.body)
		}
	}
	if a := s.do(http.MethodPost, "/v1/claims", token, strings.Repeat(" ", 4096-len(good))+good, header{"Idempotency-Key", "k-00000001"}); a.status != http.StatusCreated {
		t.Errorf("4096 bytes: %d %s", a.status, a.body)
	}
}
