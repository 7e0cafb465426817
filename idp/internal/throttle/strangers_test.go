package throttle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/unit"
)

var strangeTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// book keeps the events that are committed.
type book struct {
	mu   sync.Mutex
	list []audit.Event
	down error
}

func (b *book) Commit(_ context.Context, u unit.Unit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down == nil {
		b.list = append(b.list, u.Event.(audit.Event))
	}
	return b.down
}

// told is how many refusals the events speak of.
func (b *book) told() (n int) {
	for _, e := range b.list {
		c, err := strconv.Atoi(e.Detail["count"])
		if err != nil {
			c = 1
		}
		n += c
	}
	return n
}

func newStrangers() (*Strangers, *book, *clock.Fake, *int) {
	b, clk, seen := &book{}, clock.NewFake(strangeTime), new(int)
	return NewStrangers(b, clk, slog.New(slog.DiscardHandler), func(string) { *seen++ }), b, clk, seen
}

func refusal(ip string) audit.Event {
	return audit.Event{Type: "client.refused", Outcome: audit.Refused, Reason: "invalid_client", IP: ip, Detail: map[string]string{"client_id": "guess"}}
}

func TestStrangers_OneNetworkCausesOneEventAMinute(t *testing.T) {
	t.Parallel()
	s, b, clk, seen := newStrangers()
	for range 3 {
		for i := range 500 {
			if err := s.Refused(t.Context(), refusal(fmt.Sprintf("2001:db8::%x", i))); err != nil {
				t.Fatal(err)
			}
		}
		clk.Advance(strangerEvery)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.list) > 4 || b.told() != 1500 || *seen != 1500 {
		t.Fatalf("%d events tell of %d refusals, %d were observed", len(b.list), b.told(), *seen)
	}
	if b.list[0].Detail["client_id"] != "guess" || b.list[1].Detail["network"] != "2001:db8::/64" || b.list[1].Reason != "invalid_client" {
		t.Fatalf("%+v", b.list[:2])
	}
}

func TestStrangers_AClientThatRepeatsItselfCausesOneEventAMinuteForEachReason(t *testing.T) {
	t.Parallel()
	s, b, clk, _ := newStrangers()
	repeat := func(client, reason, ip string) {
		t.Helper()
		e := audit.Event{Type: "feed.refused", Outcome: audit.Refused, Reason: reason, Client: client, Actor: "client:" + client, IP: ip}
		if err := s.Repeated(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		repeat("cases", "feed_crowded", fmt.Sprintf("192.0.2.%d", i))
	}
	repeat("cases", "invalid_request", "192.0.2.1")
	repeat("letters", "feed_crowded", "192.0.2.1")
	if err := s.Refused(t.Context(), refusal("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if len(b.list) != 4 {
		t.Fatalf("%d events: %+v", len(b.list), b.list)
	}
	clk.Advance(strangerEvery)
	if err := s.Flush(t.Context()); err != nil || len(b.list) != 5 {
		t.Fatalf("%d events, %v", len(b.list), err)
	}
	if e := b.list[4]; e.Client != "cases" || e.Actor != "client:cases" || e.Reason != "feed_crowded" || e.Detail["count"] != "99" || e.Detail["network"] != "" {
		t.Errorf("%+v", e)
	}
}

func TestStrangers_NothingCountedIsLostAtTheEnd(t *testing.T) {
	t.Parallel()
	s, b, _, _ := newStrangers()
	for range 7 {
		if err := s.Refused(t.Context(), refusal("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil || b.told() != 1 {
		t.Fatalf("within the minute %d are told, %v", b.told(), err)
	}
	if err := s.Finish(t.Context()); err != nil || b.told() != 7 || len(b.list) != 2 {
		t.Fatalf("at the end %d events tell of %d, %v", len(b.list), b.told(), err)
	}
}

func TestStrangers_ManyNetworksAreBoundedAndAllCounted(t *testing.T) {
	t.Parallel()
	s, b, clk, _ := newStrangers()
	for i := range 20_000 {
		_ = s.Refused(t.Context(), refusal(fmt.Sprintf("10.%d.%d.1", i/250, i%250)))
	}
	if bound := strangersKept + strangerShards; len(b.list) > bound {
		t.Fatalf("%d events in a minute, at most %d", len(b.list), bound)
	}
	clk.Advance(strangerEvery)
	_ = s.Flush(t.Context())
	if b.told() != 20_000 {
		t.Fatalf("told of %d", b.told())
	}
	clk.Advance(2 * strangerEvery)
	_ = s.Flush(t.Context())
	for i := range s.sh {
		if n := len(s.sh[i].m); n != 0 || s.sh[i].networks != 0 {
			t.Fatalf("%d tallies are kept that say nothing, %d are counted", n, s.sh[i].networks)
		}
	}
}

// However many strangers come, a client that is known is named; and where they are too many to be told apart, nobody is.
func TestStrangers_AFloodTakesTheNameOffNoClient(t *testing.T) {
	t.Parallel()
	s, b, clk, _ := newStrangers()
	var log bytes.Buffer
	s.log = slog.New(slog.NewJSONHandler(&log, nil))
	for i := range 20_000 {
		e := refusal(fmt.Sprintf("10.%d.%d.1", i/250, i%250))
		e.Type, e.Client, e.Actor = "feed.refused", "guess", "client:guess" // as a stranger says
		_ = s.Refused(t.Context(), e)
	}
	clk.Advance(strangerEvery / 2)
	b.list = nil
	log.Reset()
	for i := range 64 { // in every part of what is kept
		name := fmt.Sprint("cases", i)
		if err := s.Repeated(t.Context(), audit.Event{Type: "feed.refused", Outcome: audit.Refused, Reason: "feed_crowded", Client: name, Actor: "client:" + name}); err != nil {
			t.Fatal(err)
		}
		if e := b.list[len(b.list)-1]; len(b.list) != i+1 || e.Client != name || e.Actor != "client:"+name || e.Detail["network"] != "" {
			t.Fatalf("%d events, %+v", len(b.list), e)
		}
		if !strings.Contains(log.String(), `"client_id":"`+name+`"`) {
			t.Fatalf("the log names nobody: %s", log.String())
		}
	}
	clk.Advance(strangerEvery)
	b.list = nil
	if err := s.Refused(t.Context(), audit.Event{Type: "feed.refused", Client: "guess", Actor: "client:guess", IP: "203.0.113.1"}); err != nil {
		t.Fatal(err)
	}
	for i := range 250 {
		_ = s.Refused(t.Context(), audit.Event{Type: "feed.refused", Client: "guess", Actor: "client:guess", IP: fmt.Sprintf("198.51.%d.1", i)})
	}
	others := 0
	for _, e := range b.list {
		if e.Detail["network"] == "others" {
			if others++; e.Client != "" || e.Actor != "" {
				t.Errorf("one of many strangers is named: %+v", e)
			}
		}
	}
	if others == 0 {
		t.Error("all were told apart")
	}
}

func TestStrangers_CountsWhatCouldNotBeWritten(t *testing.T) {
	t.Parallel()
	s, b, clk, _ := newStrangers()
	b.down = errors.New("down")
	for range 5 {
		if s.Refused(t.Context(), refusal("192.0.2.1")) == nil {
			t.Fatal("nobody was told")
		}
	}
	b.down = nil
	_ = s.Refused(t.Context(), refusal("192.0.2.1"))
	clk.Advance(time.Hour)
	_ = s.Flush(t.Context())
	if b.told() != 6 {
		t.Fatalf("told of %d", b.told())
	}
}

// heap is Rates for one test.
type heap struct {
	at   map[string]time.Time
	now  time.Time
	down error
}

func (h *heap) Allow(_ context.Context, key string, l rate.Limit) (bool, time.Duration, error) {
	next, wait := l.Take(h.at[key], h.now)
	if wait == 0 {
		h.at[key] = next
	}
	return wait == 0 && h.down == nil, wait, h.down
}

func TestNetworks_OneSubscriberOneShare(t *testing.T) {
	t.Parallel()
	h := &heap{at: map[string]time.Time{}, now: strangeTime}
	var refused []string
	n := NewNetworks(h, Limits{Begin: rate.PerSecond(1, 2), SignUpMail: rate.PerHour(2), SignUpMails: rate.PerHour(3)}, func(k string) { refused = append(refused, k) })
	for _, c := range []struct {
		kind Kind
		ip   string
		want error
	}{
		{Begin, "2001:db8::1", nil}, {Begin, "2001:db8::ffff", nil}, {Begin, "2001:db8::2", ErrCrowded}, {Begin, "2001:db8:0:1::1", nil},
		{Begin, "192.0.2.1", nil}, {Begin, "::ffff:192.0.2.1", nil}, {Begin, "192.0.2.1", ErrCrowded}, {Begin, "192.0.2.2", nil},
		{Form, "192.0.2.1", nil},
		{SignUpMail, "192.0.2.1", nil}, {SignUpMail, "192.0.2.1", nil}, {SignUpMail, "192.0.2.1", ErrCrowded}, {SignUpMail, "192.0.2.2", nil}, {SignUpMail, "192.0.2.3", ErrMailBound},
	} {
		if err := n.Take(t.Context(), c.kind, c.ip); !errors.Is(err, c.want) {
			t.Errorf("%s from %s: %v, want %v", c.kind, c.ip, err, c.want)
		}
	}
	if len(refused) != 4 {
		t.Error(refused)
	}
	h.down = errors.New("down")
	if err := n.Take(t.Context(), Begin, "192.0.2.1"); err != nil || refused[len(refused)-1] != "store_failed" {
		t.Errorf("a store that is down keeps people out: %v", err)
	}
}
