package epoch

import (
	"slices"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/unit"
)

// The acts of commands that a restore has to know of.
const (
	ActImport = "case.import"
	ActAssign = "case.assign"
	ActCode   = "case.code"
	ActAccept = "restore.accept"
)

// reasonCode is why a claim was refused that counted as a try.
const reasonCode = "claim_not_accepted"

// Replay is what the exported ledger says of the time that a restored database does not know.
type Replay struct {
	Events int64    `json:"events"`           // entries that were lost
	Owners []Owner  `json:"owners,omitempty"` // who got a case
	Tries  int      `json:"tries"`            // claims that were refused
	Codes  []string `json:"codes,omitempty"`  // cases whose claim code was replaced: the one in the copy ends
	Gone   []string `json:"gone,omitempty"`   // cases that were imported, and are not in the database any more

	again []unit.Write // in the order in which it happened
}

// Owner is who got a case.
type Owner struct {
	Case string `json:"case"`
	Sub  string `json:"sub"`
}

// Later reads a plan out of the entries that were lost, each writer's in its order.
func Later(entries []ledger.Stored) Replay {
	p := Replay{Events: int64(len(entries))}
	for _, e := range inOrder(entries) {
		switch {
		case e.Act == string(cases.ActClaim) && e.Outcome == ledger.Refused && e.Reason == reasonCode:
			p.Tries++
			p.again = append(p.again, Tried{Sub: e.Sub, At: e.At})
		case e.Outcome == ledger.Allowed:
			p.note(e)
		}
	}
	return p
}

// inOrder sorts entries by time, so that who was first is first. Where a writer's clock was set back, its chain says what
// came later: no entry is older than the one before it.
func inOrder(entries []ledger.Stored) (out []ledger.Stored) {
	type placed struct {
		ledger.Stored
		at time.Time
	}
	var list []placed
	last := map[string]time.Time{}
	for _, e := range entries {
		if e.At.After(last[e.Writer]) {
			last[e.Writer] = e.At
		}
		list = append(list, placed{e, last[e.Writer]})
	}
	slices.SortStableFunc(list, func(a, b placed) int { return a.at.Compare(b.at) })
	for _, p := range list {
		out = append(out, p.Stored)
	}
	return out
}

// note takes what somebody did into the plan. What concerns a case that is gone changes no row.
func (p *Replay) note(e ledger.Stored) {
	switch e.Act {
	case string(cases.ActClaim), ActAssign:
		if o := (Owner{e.Case, e.Sub}); !slices.Contains(p.Owners, o) { // a repeat of the same call has an entry, too
			p.Owners = append(p.Owners, o)
			p.again = append(p.again, Own{CaseID: e.Case, Sub: e.Sub, At: e.At, Event: ident.New("evt"), Code: e.Act != ActAssign})
		}
	case ActCode:
		p.Codes = append(p.Codes, e.Case)
		p.again = append(p.again, EndCode{CaseID: e.Case, At: e.At})
	case ActImport:
		p.Gone = append(p.Gone, e.Case)
	}
}
