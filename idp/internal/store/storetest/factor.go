package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/unit"
)

// FactorStore is what Factors needs.
type FactorStore interface {
	unit.Committer
	factor.Reader
}

// Factors checks passwords, authenticator apps and recovery codes.
func Factors[S FactorStore](t *testing.T, open func(*testing.T) S) {
	t.Run("one of many changes of a password wins", func(t *testing.T) { t.Parallel(); onePassword(t, open(t)) })
	t.Run("authenticator apps come and go up to their number", func(t *testing.T) { t.Parallel(); totpLife(t, open(t)) })
	t.Run("one of many first authenticator apps is the first", func(t *testing.T) { t.Parallel(); oneFirstTOTP(t, open(t)) })
	t.Run("one of many uses of a time step wins, and none goes back", func(t *testing.T) { t.Parallel(); oneStep(t, open(t)) })
	t.Run("one of many uses of a recovery code wins", func(t *testing.T) { t.Parallel(); oneRecovery(t, open(t)) })
}

var factorTime = time.Date(2026, 11, 24, 12, 0, 0, 789000, time.UTC)

func onePassword(t *testing.T, s FactorStore) {
	people(t, s, "acc_1", "acc_2")
	if record, at, err := s.Password(t.Context(), "acc_1"); record != "" || !at.IsZero() || err != nil {
		t.Fatalf("got %q, %v, %v", record, at, err)
	}
	set := func(acc, old, record string, at time.Time) factor.SetPassword {
		return factor.SetPassword{Account: acc, Old: old, Record: record, At: at}
	}
	conflicts(t, s, set("acc_1", "x", "y", factorTime))
	for round, old := range []string{"", "first"} {
		wins := Race(t, func(i int) error {
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{set("acc_1", old, fmt.Sprint(round, "/", i), factorTime)}})
		})
		record, at, err := s.Password(t.Context(), "acc_1")
		if wins != 1 || record == old || !at.Equal(factorTime) || err != nil {
			t.Fatalf("round %d: %d passwords, %q at %v, %v", round, wins, record, at, err)
		}
		if round == 0 {
			commit(t, s, set("acc_1", record, "first", factorTime))
		}
	}
	commit(t, s, set("acc_2", "", "mine", factorTime))
	conflicts(t, s, set("acc_1", "mine", "theirs", factorTime))
	later := factorTime.Add(time.Hour)
	commit(t, s, set("acc_2", "mine", "mine", factorTime)) // the condition alone
	commit(t, s, set("acc_2", "mine", "new", later))
	if record, at, err := s.Password(t.Context(), "acc_2"); record != "new" || !at.Equal(later) || err != nil {
		t.Fatalf("got %q, %v, %v", record, at, err)
	}
}

func app(id, acc string, after time.Duration) factor.AddTOTP {
	return factor.AddTOTP{TOTP: factor.TOTP{ID: id, Account: acc, Label: "Phone «ñ»", Sealed: []byte("sealed " + id), CreatedAt: factorTime.Add(after)}}
}

func apps(t *testing.T, s FactorStore, acc string) (ids []string, last int64) {
	t.Helper()
	list, last, err := s.TOTPs(t.Context(), acc)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	has, err := s.HasSecondFactor(t.Context(), acc)
	if err != nil || has != (len(ids) > 0) {
		t.Fatalf("has %v with %d, %v", has, len(ids), err)
	}
	return ids, last
}

func totpLife(t *testing.T, s FactorStore) {
	people(t, s, "acc_1", "acc_2")
	if ids, last := apps(t, s, "acc_1"); len(ids) != 0 || last != 0 {
		t.Fatalf("got %v, %d", ids, last)
	}
	b := app("b", "acc_1", 0)
	commit(t, s, app("z", "acc_1", time.Hour), b, app("other", "acc_2", 0))
	list, _, err := s.TOTPs(t.Context(), "acc_1")
	if err != nil || len(list) != 2 || !reflect.DeepEqual(list[0], b.TOTP) {
		t.Fatalf("got %+v, %v", list, err)
	}
	conflicts(t, s, app("b", "acc_1", 0))
	conflicts(t, s, factor.RemoveTOTP{Account: "acc_2", ID: "b"})
	commit(t, s, factor.RemoveTOTP{Account: "acc_1", ID: "b"})
	conflicts(t, s, factor.RemoveTOTP{Account: "acc_1", ID: "b"})
	wins := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{app(fmt.Sprint("n", i), "acc_1", time.Duration(i))}})
	})
	if ids, _ := apps(t, s, "acc_1"); wins != factor.MaxTOTPs-1 || len(ids) != factor.MaxTOTPs {
		t.Fatalf("%d were added, %d are there", wins, len(ids))
	}
	if ids, _ := apps(t, s, "acc_2"); !slices.Equal(ids, []string{"other"}) {
		t.Fatalf("the other account has %v", ids)
	}
}

func oneFirstTOTP(t *testing.T, s FactorStore) {
	people(t, s, "acc_1", "acc_2")
	commit(t, s, app("other", "acc_2", 0))
	first := func(id, acc string) factor.AddTOTP { a := app(id, acc, 0); a.First = true; return a }
	wins := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{first(fmt.Sprint("n", i), "acc_1")}})
	})
	if wins != 1 {
		t.Fatalf("%d are the first", wins)
	}
	conflicts(t, s, first("late", "acc_2"))
}

func oneStep(t *testing.T, s FactorStore) {
	people(t, s, "acc_1", "acc_2")
	commit(t, s, app("a", "acc_1", 0), app("b", "acc_1", 1))
	step := func(acc, id string, n int64) factor.UseStep {
		return factor.UseStep{Account: acc, TOTP: id, Step: n, At: factorTime}
	}
	for n := int64(100); n < 110; n++ {
		wins := Race(t, func(i int) error { // the apps of one account share its steps
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{step("acc_1", []string{"a", "b", ""}[i%3], n)}})
		})
		if wins != 1 {
			t.Fatalf("step %d: %d uses", n, wins)
		}
	}
	for _, n := range []int64{109, 108, 0, -1} {
		conflicts(t, s, step("acc_1", "a", n))
	}
	conflicts(t, s, step("acc_1", "gone", 111))
	if _, last := apps(t, s, "acc_1"); last != 109 {
		t.Fatalf("the last step is %d: an app that is gone used one up", last)
	}
	commit(t, s, step("acc_2", "", 1), step("acc_1", "a", 115))
	list, last, err := s.TOTPs(t.Context(), "acc_1")
	if err != nil || last != 115 || !list[0].UsedAt.Equal(factorTime) {
		t.Fatalf("got %+v, %d, %v", list, last, err)
	}
	commit(t, s, factor.RemoveTOTP{Account: "acc_1", ID: "a"})
	conflicts(t, s, step("acc_1", "b", 115)) // what was used stays used when its app goes
}

func oneRecovery(t *testing.T, s FactorStore) {
	people(t, s, "acc_1", "acc_2")
	_, codes := factor.NewRecoveryCodes([]byte("key"))
	commit(t, s, factor.SetRecoveryCodes{Account: "acc_1", Codes: codes, At: factorTime}, factor.SetRecoveryCodes{Account: "acc_2", Codes: codes[:1], At: factorTime})
	got, err := s.RecoveryCodes(t.Context(), "acc_1")
	if err != nil || len(got) != len(codes) {
		t.Fatalf("got %d, %v", len(got), err)
	}
	for _, c := range got {
		c.MadeAt = time.Time{}
		if !slices.Contains(codes, c) {
			t.Fatalf("%+v is none of them", c)
		}
	}
	spendCode := func(acc string, c factor.RecoveryCode) factor.UseRecoveryCode {
		return factor.UseRecoveryCode{Account: acc, Hash: c.Hash, At: factorTime}
	}
	for _, c := range codes[:4] {
		wins := Race(t, func(int) error {
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{spendCode("acc_1", c)}})
		})
		if wins != 1 {
			t.Fatalf("%d uses of one code", wins)
		}
	}
	conflicts(t, s, spendCode("acc_2", codes[5]))
	conflicts(t, s, factor.UseRecoveryCode{Account: "acc_1", Hash: [32]byte{1}, At: factorTime})
	got, err = s.RecoveryCodes(t.Context(), "acc_1")
	other, otherErr := s.RecoveryCodes(t.Context(), "acc_2")
	if err != nil || otherErr != nil || factor.Left(got) != len(codes)-4 || factor.Left(other) != 1 {
		t.Fatalf("%d and %d left, %v, %v", factor.Left(got), factor.Left(other), err, otherErr)
	}
	_, fresh := factor.NewRecoveryCodes([]byte("key"))
	commit(t, s, factor.SetRecoveryCodes{Account: "acc_1", Codes: fresh, At: factorTime})
	conflicts(t, s, spendCode("acc_1", codes[9]))
	commit(t, s, spendCode("acc_1", fresh[9]))
	commit(t, s, factor.SetRecoveryCodes{Account: "acc_1", At: factorTime})
	if got, err := s.RecoveryCodes(t.Context(), "acc_1"); err != nil || len(got) != 0 {
		t.Fatalf("got %d, %v", len(got), err)
	}
}
