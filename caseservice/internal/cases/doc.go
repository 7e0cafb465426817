// Package cases is the domain of the case service: cases, their events and appointments, the workflow of each form, claim
// codes, and the policy that says who may do what with a case.
//
// It owns the decisions and the values that a store writes (Create, Assign, CountTry, Redeem, …) and the small interface of
// what it reads. It knows a person only by the subject that the issuer made for this service. It never speaks HTTP or SQL
// and never sees a token.
package cases
