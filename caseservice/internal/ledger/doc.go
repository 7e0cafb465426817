// Package ledger is the record of who looked at what and why: one entry for each access whose token was verified, and
// for each command of an operator, allowed or refused.
//
// It owns the entry and its canonical text, and the key that signs checkpoints of the chains that entries stand in (one
// chain per writer: a running service or one command). An entry is committed before the answer that it speaks of leaves,
// together with its effect where it has one. Requests without a verified token name nobody: they are counted and logged,
// not recorded, so that strangers cannot fill the disk.
//
// It never holds a token, a claim code or a receipt number, and knows people by the issuer's subject only.
package ledger
