package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/unit"
)

// OutboxStore is what Outbox needs.
type OutboxStore interface {
	unit.Committer
	notify.Reader
}

// Outbox checks mails on their way.
func Outbox[S OutboxStore](t *testing.T, open func(*testing.T) S) {
	t.Run("what is due comes oldest first, as it was queued", func(t *testing.T) { t.Parallel(); dueMail(t, open(t)) })
	t.Run("one of many claims wins", func(t *testing.T) { t.Parallel(); oneClaim(t, open(t)) })
	t.Run("what a former sender had under way is due to the next", func(t *testing.T) { t.Parallel(); inheritedMail(t, open(t)) })
	t.Run("a limit counts what waits", func(t *testing.T) { t.Parallel(); boundedMail(t, open(t)) })
	t.Run("what went out goes out no more", func(t *testing.T) { t.Parallel(); sentMail(t, open(t)) })
}

var outboxTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func queued(id string, after time.Duration) notify.Queue {
	at := outboxTime.Add(after)
	return notify.Queue{ID: id, Account: "acc_1", Template: "link", Recipient: "a@example.org", Lang: "es", Sealed: []byte("sealed " + id), At: at, ExpiresAt: at.Add(time.Hour)}
}

func due(t *testing.T, s OutboxStore, at time.Time, limit int) (ids []string) {
	t.Helper()
	list, err := s.DueMail(t.Context(), at, 0, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	return ids
}

func isDue(t *testing.T, s OutboxStore, at time.Time, want ...string) {
	t.Helper()
	if got := due(t, s, at, 100); !reflect.DeepEqual(got, want) {
		t.Fatalf("due %v, want %v", got, want)
	}
}

func dueMail(t *testing.T, s OutboxStore) {
	commit(t, s, queued("late", time.Minute), queued("early", 0))
	conflicts(t, s, queued("late", 0))
	isDue(t, s, outboxTime.Add(-time.Second))
	isDue(t, s, outboxTime, "early")
	isDue(t, s, outboxTime.Add(time.Hour), "early", "late")
	if got := due(t, s, outboxTime.Add(time.Hour), 1); !reflect.DeepEqual(got, []string{"early"}) {
		t.Fatalf("got %v", got)
	}
	list, err := s.DueMail(t.Context(), outboxTime, 0, 1)
	q := queued("early", 0)
	want := notify.Item{ID: q.ID, Account: q.Account, Template: q.Template, Sealed: q.Sealed, ExpiresAt: q.ExpiresAt}
	if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Fatalf("got %+v, %v", list, err)
	}
}

func oneClaim(t *testing.T, s OutboxStore) {
	commit(t, s, queued("a", 0))
	for round := range 5 {
		at := outboxTime.Add(time.Duration(round) * time.Hour)
		claim := notify.Claim{ID: "a", At: at, Until: at.Add(time.Minute)}
		wins := Race(t, func(int) error { return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{claim}}) })
		if wins != 1 {
			t.Fatalf("round %d: %d claims", round, wins)
		}
		isDue(t, s, at.Add(time.Minute-1000))
		isDue(t, s, at.Add(time.Minute), "a") // whoever claimed it is gone
	}
	list, err := s.DueMail(t.Context(), outboxTime.Add(100*time.Hour), 0, 1)
	if err != nil || list[0].Attempts != 5 {
		t.Fatalf("got %+v, %v", list, err)
	}
	conflicts(t, s, notify.Claim{ID: "missing", At: outboxTime, Until: outboxTime})
}

func inheritedMail(t *testing.T, s OutboxStore) {
	commit(t, s, queued("tried", 0), queued("deferred", 0), queued("sent", 0))
	until := outboxTime.Add(time.Hour)
	for _, id := range []string{"tried", "deferred", "sent"} {
		commit(t, s, notify.Claim{ID: id, At: outboxTime, Until: until, Fence: 3})
	}
	commit(t, s, notify.Defer{ID: "deferred", Due: until}, notify.Sent{ID: "sent", At: outboxTime})
	isDueTo := func(fence int64, want ...string) {
		t.Helper()
		list, err := s.DueMail(t.Context(), outboxTime, fence, 100)
		var got []string
		for _, i := range list {
			got = append(got, i.ID)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("to term %d are due %v, want %v (%v)", fence, got, want, err)
		}
	}
	isDueTo(0)
	isDueTo(2)
	isDueTo(3)
	conflicts(t, s, notify.Claim{ID: "tried", At: outboxTime, Until: until, Fence: 3})
	conflicts(t, s, notify.Claim{ID: "deferred", At: outboxTime, Until: until, Fence: 4})
	isDueTo(4, "tried")
	claim := notify.Claim{ID: "tried", At: outboxTime, Until: until, Fence: 4}
	wins := Race(t, func(int) error { return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{claim}}) })
	if wins != 1 {
		t.Fatalf("%d claims", wins)
	}
	isDueTo(4)
}

func boundedMail(t *testing.T, s OutboxStore) {
	limited := func(id string) notify.Queue {
		q := queued(id, 0)
		q.Limit = 3
		return q
	}
	commit(t, s, limited("a"), limited("b"), queued("c", 0))
	err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{limited("d")}})
	if q, full := unit.ConflictIn[notify.Queue](err); !full || q.ID != "d" {
		t.Fatalf("a fourth: %v", err)
	}
	commit(t, s, queued("e", 0)) // what has no limit is always taken
	commit(t, s, notify.Sent{ID: "a", At: outboxTime}, notify.Drop{ID: "b"})
	commit(t, s, limited("d"))
	conflicts(t, s, limited("f"))
}

func sentMail(t *testing.T, s OutboxStore) {
	for i := range 3 {
		commit(t, s, queued(fmt.Sprint(i), 0))
	}
	later := outboxTime.Add(time.Hour)
	commit(t, s, notify.Sent{ID: "0", At: outboxTime}, notify.Drop{ID: "1"}, notify.Defer{ID: "2", Due: later})
	isDue(t, s, later.Add(-time.Second))
	isDue(t, s, later, "2")
	conflicts(t, s, notify.Sent{ID: "0", At: later})
	conflicts(t, s, notify.Claim{ID: "0", At: later, Until: later})
	commit(t, s, notify.Defer{ID: "0", Due: outboxTime}, notify.Drop{ID: "1"})
	isDue(t, s, later, "2")
	wins := Race(t, func(int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{notify.Sent{ID: "2", At: later}}})
	})
	if wins != 1 {
		t.Fatalf("it was sent %d times", wins)
	}
}
