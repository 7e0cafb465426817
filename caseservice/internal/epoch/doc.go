// Package epoch keeps a restored database from bringing the past back.
//
// A restored database has forgotten what was done after it was copied: a claim code that was used looks unused, and who
// guessed how often is not known. Accepting it begins an epoch, in one unit with its entry in the ledger. What the exported
// ledger says of the lost time is done again. Where the export does not say all, the operator decides whether unused claim
// codes end. Nobody claims for as long as tries that were lost would have counted, and no place in the history of a case is
// given twice, so that an app that follows it misses nothing.
//
// It owns the epoch, the unit that begins one, and the plan of what to do again. Revoked tokens are no part of it: they are
// never in the database, and a service that starts believes none before it knows what its issuer has revoked (package feed).
package epoch
