package main

import (
	"context"
	"time"
)

// ask asks the oracle about everything so far, and the provider's own command about its audit.
func (r *run) ask(ctx context.Context) ([]breach, error) {
	records, err := readLedger(r.path)
	if err != nil {
		return nil, err
	}
	k, err := readKept(ctx, r.sys.database())
	if err != nil {
		return nil, err
	}
	o := oracle{records: records, kept: k, subjects: map[string]string{}, owners: map[string]string{}, now: time.Now(), deaf: r.deaf}
	for _, p := range r.sys.people {
		o.subjects[p.Email], o.owners[p.Email] = p.subject, p.caseID
	}
	out := o.judge()
	if err := r.sys.command(ctx, "audit", "verify", "--json"); err != nil {
		out = append(out, breach{"L2", 0, "the audit does not verify: " + err.Error()})
	}
	if _, err := r.sys.cfg.Command(ctx, r.sys.cfg.CaseService, "ledger", "verify", "--json"); err != nil {
		out = append(out, breach{"L2", 0, "the ledger does not verify: " + err.Error()})
	}
	return out, nil
}
