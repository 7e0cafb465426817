package memstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/ident"
)

var flowTime = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// fat is a flow of almost the largest size.
func fat(id string) flow.Flow {
	return flow.Flow{ID: id, ExpiresAt: flowTime.Add(flow.Lifetime), Request: url.Values{"state": {strings.Repeat("x", flow.MaxSize-1500)}}}
}

// smaller returns a store with an eighth of the room.
func smaller(c clock.Clock) (*Store, budget) {
	s, b := New(c), budget{flowBudget.entries / 8, flowBudget.bytes / 8}
	s.flows = newTable(b, true)
	return s, b
}

func (s *Store) put(t *testing.T, f flow.Flow) {
	t.Helper()
	if err := s.PutFlow(t.Context(), f); err != nil {
		t.Fatal(f.ID, err)
	}
}

func (s *Store) has(t *testing.T, id string) bool {
	t.Helper()
	_, err := s.GetFlow(t.Context(), id)
	if err != nil && !errors.Is(err, flow.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// size is what a table keeps.
func (t *table) size() (n, bytes int) {
	for i := range t.sh {
		sh := &t.sh[i]
		n += len(sh.m)
		bytes += sh.firm.bytes + sh.loose.bytes
		if len(sh.m) != sh.firm.Len()+sh.loose.Len() {
			return -1, -1
		}
	}
	return n, bytes
}

func TestPutFlow_AFloodTakesNoMoreThanItsBytesAndGivesUpTheOldest(t *testing.T) {
	t.Parallel()
	s, b := smaller(clock.NewFake(flowTime))
	s.put(t, fat("first"))
	for i := range 2 * b.bytes / flow.MaxSize {
		s.put(t, fat(fmt.Sprint("flood", i)))
	}
	s.put(t, fat("last"))
	if n, bytes := s.flows.size(); n < 0 || bytes > b.bytes || bytes < b.bytes*9/10 {
		t.Errorf("%d flows take %d bytes", n, bytes)
	}
	if s.has(t, "first") || !s.has(t, "last") {
		t.Error("the newest was given up before the oldest")
	}
}

func TestPutFlow_AFloodTakesNoMoreThanItsNumber(t *testing.T) {
	t.Parallel()
	s, b := smaller(clock.NewFake(flowTime))
	for i := range b.entries * 5 / 4 {
		s.put(t, flow.Flow{ID: fmt.Sprint("flw_", i), ExpiresAt: flowTime.Add(flow.Lifetime)})
	}
	if n, bytes := s.flows.size(); n > b.entries || n < b.entries*9/10 || bytes > b.bytes {
		t.Errorf("%d flows take %d bytes", n, bytes)
	}
}

func TestPutFlow_WhoHasProvenSomethingIsNotGivenUpForStrangers(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(flowTime)
	s, b := smaller(clk)
	pending := fat("pending")
	s.put(t, pending)
	pending.Version, pending.Pending = 1, &flow.Pending{Account: "acc_1", At: flowTime}
	s.put(t, pending)
	consented, known := fat("consented"), fat("known")
	consented.Consent, known.Known = &flow.Fresh{}, true
	s.put(t, consented)
	s.put(t, known)
	for i := range 2 * b.bytes / flow.MaxSize {
		s.put(t, fat(fmt.Sprint("flood", i)))
	}
	for _, id := range []string{"pending", "consented", "known"} {
		if !s.has(t, id) {
			t.Error(id, "was given up")
		}
	}
	late := fat("late")
	s.put(t, late)
	late.Version, late.Known = 1, true
	s.put(t, late) // with a full store, the next step of somebody who just proved it
	clk.Advance(flow.Lifetime)
	s.put(t, flow.Flow{ID: "next", ExpiresAt: clk.Now().Add(time.Minute)})
	if s.has(t, "late") {
		t.Error("it lives longer than its time")
	}
}

func TestPutFlow_WhoMaySignInLeavesRoomForWhoWantsTo(t *testing.T) {
	t.Parallel()
	s, b := smaller(clock.NewFake(flowTime))
	for i := range 2 * b.bytes / flow.MaxSize {
		f := fat(fmt.Sprint("known", i))
		f.Known = true
		s.put(t, f)
	}
	for i := range b.bytes / flow.MaxSize / 8 {
		s.put(t, fat(fmt.Sprint("stranger", i)))
	}
	lost := 0
	for i := range b.bytes / flow.MaxSize / 8 {
		if !s.has(t, fmt.Sprint("stranger", i)) {
			lost++
		}
	}
	if n, bytes := s.flows.size(); n < 0 || bytes > b.bytes || lost > 50 {
		t.Errorf("%d bytes, %d strangers lost", bytes, lost)
	}
}

func TestPut_KindsDoNotCrowdEachOtherOut(t *testing.T) {
	t.Parallel()
	s, b := smaller(clock.NewFake(flowTime))
	code := grant.Code{ExpiresAt: flowTime.Add(time.Minute)}
	for i := range 2 * b.bytes / flow.MaxSize {
		s.put(t, fat(fmt.Sprint("flood", i)))
	}
	if err := s.PutCode(t.Context(), ident.Hash("a"), code); err != nil {
		t.Fatal("no room for a code beside flows:", err)
	}
	if err := s.Put(t.Context(), "codes", "a", nil, time.Minute); err != nil {
		t.Fatal("no room for anything else:", err)
	}
	var full error
	for i := 0; full == nil && i < 1<<20; i++ {
		full = s.PutCode(t.Context(), ident.Hash(fmt.Sprint(i)), code)
	}
	if !fault.Is(full, fault.Unavailable) {
		t.Fatal(full)
	}
	if _, err := s.GetCode(t.Context(), ident.Hash("a")); err != nil {
		t.Error("a code was given up for another:", err)
	}
	s.put(t, fat("after"))
	if n, bytes := s.codes.size(); n > codeBudget.entries || bytes > codeBudget.bytes {
		t.Errorf("%d codes take %d bytes", n, bytes)
	}
}
