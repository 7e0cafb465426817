package main

import (
	"cmp"
	"context"
	"path/filepath"
	"time"
)

// caseDatabase is the name under which the oracle opens the database of the case service.
func (s *system) caseDatabase() string {
	return cmp.Or(s.cfg.Databases.Cases, "sqlite:"+filepath.Join(s.cfg.Dir, "cases.db"))
}

// ask asks the oracle about everything so far, and the provider's own command about its audit.
func (r *run) ask(ctx context.Context) ([]breach, error) {
	k, err := r.driver.kept.read(ctx, r.sys.database(), r.sys.caseDatabase())
	if err != nil {
		return nil, err
	}
	r.driver.collect() // after what waits was read: what waits no more has come
	records, err := r.driver.back.read()
	if err != nil {
		return nil, err
	}
	o := oracle{records: records, kept: k, subjects: map[string]string{}, owners: map[string]string{}, now: time.Now(), deaf: r.deaf, leaked: r.leaked}
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
