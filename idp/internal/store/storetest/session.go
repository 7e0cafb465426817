package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/unit"
)

// SessionStore is what Sessions needs.
type SessionStore interface {
	unit.Committer
	session.Reader
}

// Sessions checks browser sessions and devices.
func Sessions[S SessionStore](t *testing.T, open func(*testing.T) S) {
	t.Run("a session comes back as it began, under its cookie", func(t *testing.T) { t.Parallel(); sessionRoundTrip(t, open(t)) })
	t.Run("one of many renewals wins, and the old cookie is dead", func(t *testing.T) { t.Parallel(); oneRenewal(t, open(t)) })
	t.Run("nothing is done in a session that ended", func(t *testing.T) { t.Parallel(); endedSession(t, open(t)) })
	t.Run("all sessions of one account end, but the one spared", func(t *testing.T) { t.Parallel(); endAll(t, open(t)) })
	t.Run("no session is renewed behind its end", func(t *testing.T) { t.Parallel(); renewBehindEnd(t, open(t)) })
	t.Run("only the living sessions of one account are listed", func(t *testing.T) { t.Parallel(); sessionList(t, open(t)) })
	t.Run("a device is known by its cookie to its account alone", func(t *testing.T) { t.Parallel(); devices(t, open(t)) })
}

var sessionTime = time.Date(2026, 11, 24, 12, 0, 0, 321000, time.UTC)

func began(id, acc string, cookie byte) session.Start {
	return session.Start{Cookie: [32]byte{cookie}, Session: session.Session{
		ID: id, Account: acc, Device: "dev_1", CreatedAt: sessionTime, AuthTime: sessionTime, LastSeen: sessionTime, ACR: session.AAL1,
		AMR: []string{session.AMRPassword}, UserAgent: "Firefox", IP: "192.0.2.1",
	}}
}

func raised(s session.Session, old, fresh byte) session.Renew {
	at := sessionTime.Add(time.Minute)
	s.AuthTime, s.FactorTime, s.LastSeen, s.ACR, s.AMR, s.Device, s.IP = at, at, at, session.AAL2, []string{"mfa", "otp", "pwd"}, "dev_2", "192.0.2.2"
	return session.Renew{Session: s, Old: [32]byte{old}, New: [32]byte{fresh}}
}

func sessionRoundTrip(t *testing.T, s SessionStore) {
	people(t, s, "acc_1")
	if _, err := s.SessionByCookie(t.Context(), [32]byte{1}); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	w := began("ses_1", "acc_1", 1)
	commit(t, s, w)
	byCookie, err := s.SessionByCookie(t.Context(), w.Cookie)
	byID, idErr := s.Session(t.Context(), "ses_1")
	if err != nil || idErr != nil || !reflect.DeepEqual(byCookie, w.Session) || !reflect.DeepEqual(byID, w.Session) {
		t.Fatalf("got  %+v\nwant %+v, %v, %v", byCookie, w.Session, err, idErr)
	}
	conflicts(t, s, began("ses_1", "acc_1", 2))
	conflicts(t, s, began("ses_2", "acc_1", 1))
}

func oneRenewal(t *testing.T, s SessionStore) {
	people(t, s, "acc_1")
	for round := range byte(5) {
		cookie := func(i int) [32]byte { return [32]byte{round, byte(i), 1} }
		w := began(fmt.Sprint("ses_", round), "acc_1", 0)
		w.Cookie = cookie(Racers)
		commit(t, s, w)
		renewal := func(i int) session.Renew {
			r := raised(w.Session, 0, 0)
			r.Old, r.New = w.Cookie, cookie(i)
			return r
		}
		wins := Race(t, func(i int) error { return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{renewal(i)}}) })
		alive := 0
		for i := range Racers {
			if got, err := s.SessionByCookie(t.Context(), cookie(i)); err == nil {
				alive++
				if want := renewal(i).Session; !reflect.DeepEqual(got, want) {
					t.Fatalf("got  %+v\nwant %+v", got, want)
				}
			}
		}
		if _, err := s.SessionByCookie(t.Context(), w.Cookie); wins != 1 || alive != 1 || !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("round %d: %d renewals, %d cookies, the old one: %v", round, wins, alive, err)
		}
	}
}

func endedSession(t *testing.T, s SessionStore) {
	people(t, s, "acc_1", "acc_2")
	one, two := began("ses_1", "acc_1", 1), began("ses_2", "acc_1", 2)
	commit(t, s, one, two)
	end := session.End{ID: "ses_1", At: sessionTime.Add(time.Hour)}
	if wins := Race(t, func(int) error { return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{end}}) }); wins != 1 {
		t.Fatalf("it ended %d times", wins)
	}
	if got, err := s.SessionByCookie(t.Context(), one.Cookie); err != nil || !got.EndedAt.Equal(end.At) || got.Alive(sessionTime) {
		t.Fatalf("got %+v, %v", got, err)
	}
	conflicts(t, s, session.Touch{ID: "ses_1", At: sessionTime.Add(2 * time.Hour)})
	conflicts(t, s, raised(one.Session, 1, 9))
	conflicts(t, s, session.End{ID: "ses_missing", At: sessionTime})
	conflicts(t, s, session.Touch{ID: "ses_missing", At: sessionTime})
	stolen := two.Session
	stolen.Account = "acc_2"
	conflicts(t, s, raised(stolen, 2, 9)) // a session never changes hands
	commit(t, s, session.Touch{ID: "ses_2", At: sessionTime.Add(time.Hour)}, session.Touch{ID: "ses_2", At: sessionTime})
	if got, err := s.Session(t.Context(), "ses_2"); err != nil || !got.LastSeen.Equal(sessionTime.Add(time.Hour)) {
		t.Fatalf("last seen %v, %v: it never goes back", got.LastSeen, err)
	}
}

func endAll(t *testing.T, s SessionStore) {
	people(t, s, "acc_1", "acc_2")
	commit(t, s, began("a", "acc_1", 1), began("b", "acc_1", 2), began("c", "acc_1", 3), began("d", "acc_2", 4), session.End{ID: "a", At: sessionTime})
	ended := func(want map[string]time.Time) {
		t.Helper()
		for id, at := range want {
			if got, err := s.Session(t.Context(), id); err != nil || !got.EndedAt.Equal(at) {
				t.Errorf("%s ended %v, want %v, %v", id, got.EndedAt, at, err)
			}
		}
	}
	one, two := sessionTime.Add(time.Minute), sessionTime.Add(time.Hour)
	commit(t, s, session.EndAll{Account: "acc_1", Except: "b", At: one})
	ended(map[string]time.Time{"a": sessionTime, "b": {}, "c": one, "d": {}})
	commit(t, s, session.EndAll{Account: "acc_1", At: two})
	ended(map[string]time.Time{"a": sessionTime, "b": two, "c": one, "d": {}})
}

func renewBehindEnd(t *testing.T, s SessionStore) {
	people(t, s, "acc_1")
	for round := range 10 {
		w := began(fmt.Sprint("ses_", round), "acc_1", byte(100+round))
		commit(t, s, w)
		Race(t, func(i int) error {
			if i == Racers/2 {
				return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{session.EndAll{Account: "acc_1", At: sessionTime}}})
			}
			r := raised(w.Session, byte(100+round), 0)
			r.New = [32]byte{1, byte(round), byte(i)}
			return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{r}})
		})
		if got, err := s.Session(t.Context(), w.Session.ID); err != nil || got.EndedAt.IsZero() {
			t.Fatalf("round %d: it lives on: %+v, %v", round, got, err)
		}
	}
}

func sessionList(t *testing.T, s SessionStore) {
	people(t, s, "acc_1", "acc_2")
	old, seen := began("old", "acc_1", 1), began("seen", "acc_1", 2)
	old.Session.CreatedAt = sessionTime.Add(-session.AbsoluteTimeout)
	seen.Session.LastSeen = sessionTime.Add(time.Minute)
	commit(t, s, old, seen, began("one", "acc_1", 3), began("ended", "acc_1", 4), began("other", "acc_2", 5), session.End{ID: "ended", At: sessionTime})
	list, err := s.SessionsOf(t.Context(), "acc_1", sessionTime.Add(time.Minute))
	if err != nil || len(list) != 2 || list[0].ID != "seen" || list[1].ID != "one" {
		t.Fatalf("got %+v, %v", list, err)
	}
}

func devices(t *testing.T, s SessionStore) {
	people(t, s, "acc_1", "acc_2")
	d := session.Device{ID: "dev_1", Account: "acc_1", Cookie: [32]byte{7}, UserAgent: "Firefox", FirstSeen: sessionTime, LastSeen: sessionTime}
	commit(t, s, session.Know{Device: d})
	if got, err := s.Device(t.Context(), "acc_1", d.Cookie); err != nil || got != d {
		t.Fatalf("got %+v, %v", got, err)
	}
	for acc, cookie := range map[string][32]byte{"acc_2": d.Cookie, "acc_1": {8}} {
		if _, err := s.Device(t.Context(), acc, cookie); !errors.Is(err, session.ErrNoDevice) {
			t.Errorf("%s: %v", acc, err)
		}
	}
	for since, want := range map[time.Time]bool{sessionTime.Add(-time.Second): true, sessionTime: false} {
		if got, err := s.KnownBrowser(t.Context(), d.Cookie, since); err != nil || got != want {
			t.Errorf("known since %v: %v, %v", since, got, err)
		}
	}
	if got, err := s.KnownBrowser(t.Context(), [32]byte{8}, time.Time{}); err != nil || got {
		t.Errorf("a browser that nobody signed in from: %v, %v", got, err)
	}
	again := d
	again.ID, again.UserAgent, again.FirstSeen, again.LastSeen = "dev_2", "Firefox 2", sessionTime.Add(time.Hour), sessionTime.Add(time.Hour)
	commit(t, s, session.Know{Device: again})
	want := d
	want.UserAgent, want.LastSeen = again.UserAgent, again.LastSeen
	if got, err := s.Device(t.Context(), "acc_1", d.Cookie); err != nil || got != want {
		t.Fatalf("got  %+v\nwant %+v, %v", got, want, err)
	}
}
