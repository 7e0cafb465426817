package cases

import "time"

// Act is something that a caller asks to do. Its text stands in the ledger.
type Act string

// The acts.
const (
	ActList   Act = "cases.list"
	ActRead   Act = "case.read"
	ActEvents Act = "case.events"
	ActClaim  Act = "case.claim"
	ActStats  Act = "cases.count"
)

// Relationship is why somebody may see a case.
type Relationship string

// The relationships.
const (
	Stranger Relationship = ""
	Owner    Relationship = "owner"
)

// Target is what the policy has to know of the case that an act is about.
type Target struct {
	Exists       bool
	Relationship Relationship
}

// Missing says which part of the rule did not hold.
type Missing string

// What can be missing, in the order in which it is looked at.
const (
	Nothing          Missing = ""
	MissingScope     Missing = "insufficient_scope"
	MissingPerson    Missing = "person_required"
	MissingMachine   Missing = "machine_only"
	MissingAssurance Missing = "insufficient_user_authentication"
	MissingCase      Missing = "unknown_case" // shown to the caller exactly like MissingRelation
	MissingRelation  Missing = "no_relationship"
	MissingState     Missing = "case_already_yours"
)

// Rule is what an act needs.
type Rule struct {
	Scope    string
	Machine  bool          // for machines only; otherwise for people only
	ACR      string        // required authentication context, if any
	MaxAge   time.Duration // how old the authentication may be, if ACR is set
	Relation bool          // needs a relationship to the case
	Unbound  bool          // needs that there is none yet
}

// rules is the whole policy: one line an act.
var rules = map[Act]Rule{
	ActList:   {Scope: ScopeRead},
	ActRead:   {Scope: ScopeRead, Relation: true},
	ActEvents: {Scope: ScopeRead, Relation: true},
	ActClaim:  {Scope: ScopeClaim, ACR: ACR2, MaxAge: 300 * time.Second, Unbound: true},
	ActStats:  {Scope: ScopeStats, Machine: true},
}

// futureAuth bounds how far ahead of our clock an authentication may seem to have happened.
const futureAuth = 10 * time.Second

// RuleOf returns what an act needs. An act without a rule needs a scope that no token can carry.
func RuleOf(a Act) Rule {
	if r, ok := rules[a]; ok {
		return r
	}
	return Rule{Scope: "\x00none"}
}

// Can decides: scope ∧ relationship ∧ state ∧ assurance. It returns what is missing, Nothing when the act is allowed.
// Whatever can be said without the case is looked at first, so that no answer depends on a case that the caller may not
// know of.
func Can(now time.Time, c *Caller, a Act, t Target) Missing {
	if m := CanAtAll(now, c, a); m != Nothing {
		return m
	}
	r := RuleOf(a)
	switch {
	case r.Relation && !t.Exists:
		return MissingCase
	case r.Relation && t.Relationship != Owner:
		return MissingRelation
	case r.Unbound && t.Relationship == Owner:
		return MissingState
	}
	return Nothing
}

// CanAtAll decides the part that needs no case: scope, kind of caller, assurance.
func CanAtAll(now time.Time, c *Caller, a Act) Missing {
	r := RuleOf(a)
	switch {
	case !c.Has(r.Scope):
		return MissingScope
	case r.Machine && !c.Machine():
		return MissingMachine
	case !r.Machine && c.Machine():
		return MissingPerson
	case r.ACR != "" && !fresh(now, c, r):
		return MissingAssurance
	}
	return Nothing
}

// fresh reports whether the person was authenticated as well and as recently as the rule asks. Nothing ranks above aal2
// yet, so equality is the whole order.
func fresh(now time.Time, c *Caller, r Rule) bool {
	age := now.Sub(c.AuthTime)
	return c.ACR == r.ACR && !c.AuthTime.IsZero() && age <= r.MaxAge && age >= -futureAuth
}
