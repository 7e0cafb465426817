package epoch_test

import (
	"context"
	"errors"
	"testing"

	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/flow"
	"ellis.example/idp/internal/grant"
)

// kept is a volatile store of one flow and one code, which outlives restores.
type kept struct {
	f flow.Flow
	c grant.Code
}

func (k *kept) PutFlow(_ context.Context, f flow.Flow) error { k.f = f; k.f.Version++; return nil }

func (k *kept) GetFlow(context.Context, string) (flow.Flow, error) { return k.f, nil }

func (k *kept) DeleteFlow(context.Context, string) error { return nil }

func (k *kept) PutCode(_ context.Context, _ [32]byte, c grant.Code) error { k.c = c; return nil }

func (k *kept) GetCode(context.Context, [32]byte) (grant.Code, error) { return k.c, nil }

func (k *kept) DeleteCode(context.Context, [32]byte) error { return nil }

func TestVolatile_WhatIsOfAnotherEpochIsNotFound(t *testing.T) {
	t.Parallel()
	var n int64
	now := func(context.Context) (int64, error) { return n, nil }
	k := &kept{}
	flows, codes := epoch.Flows{Store: k, Now: now}, epoch.Codes{CodeStore: k, Now: now}
	if err := errors.Join(flows.PutFlow(t.Context(), flow.Flow{ID: "flw_1"}), codes.PutCode(t.Context(), [32]byte{}, grant.Code{})); err != nil {
		t.Fatal(err)
	}
	f, err := flows.GetFlow(t.Context(), "flw_1")
	if _, missing := codes.GetCode(t.Context(), [32]byte{}); err != nil || missing != nil {
		t.Fatal("in its own epoch:", err, missing)
	}
	n = 1
	if _, err := flows.GetFlow(t.Context(), "flw_1"); !errors.Is(err, flow.ErrNotFound) {
		t.Errorf("a flow: %v", err)
	}
	if _, err := codes.GetCode(t.Context(), [32]byte{}); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("a code: %v", err)
	}
	if err := flows.PutFlow(t.Context(), f); !errors.Is(err, flow.ErrNotFound) {
		t.Errorf("a flow that was read before: %v", err)
	}
}
