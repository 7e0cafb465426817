package sqlstore

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"ellis.example/caseservice/internal/chain"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/unit"
)

// ledgerChain keeps ledger entries in columns: their canonical text is made again to verify them.
type ledgerChain struct{}

// Encode implements sqldb.Chain.
func (ledgerChain) Encode(at time.Time, e unit.Event) ([]byte, error) {
	entry, ok := e.(ledger.Entry)
	if !ok {
		return nil, fmt.Errorf("an event of type %T has no place in the ledger", e)
	}
	return ledger.Encode(at, storable(entry)), nil
}

// Enter implements sqldb.Chain.
func (ledgerChain) Enter(t *sqldb.Tx, name string, _ time.Time) (id int64, err error) {
	var genesis chain.Hash
	err = t.Row(`INSERT INTO ledger_writers (name, seq, hash) VALUES (?, 0, ?) RETURNING id`, name, genesis[:]).Scan(&id)
	return id, err
}

// Append implements sqldb.Chain.
func (ledgerChain) Append(t *sqldb.Tx, id int64, entries []sqldb.Entry) error {
	rows := make([]any, 0, len(entries)*15)
	for i := range entries {
		e, r := storable(entries[i].Event.(ledger.Entry)), &entries[i].Record
		rows = append(rows, id, r.Seq, entries[i].At.UnixMicro(), e.Act, string(e.Outcome), e.Reason, e.Case,
			e.Sub, e.Client, e.Txn, e.JTI, e.Actor, string(e.Purpose), e.Request, r.Hash[:])
	}
	return t.Many(insertEntry, rows)
}

// Save implements sqldb.Chain.
func (ledgerChain) Save(t *sqldb.Tx, id int64, from, to chain.Head, moved error) error {
	return t.OneOr(moved, `UPDATE ledger_writers SET seq = ?, hash = ? WHERE id = ? AND seq = ? AND hash = ?`, to.Seq, to.Hash[:], id, from.Seq, from.Hash[:])
}

// storable is an entry as every database gives it back: what is hashed has to be what is kept.
func storable(e ledger.Entry) ledger.Entry {
	for _, text := range []*string{&e.Act, &e.Reason, &e.Case, &e.Sub, &e.Client, &e.Txn, &e.JTI, &e.Actor, &e.Request} {
		if !utf8.ValidString(*text) || strings.IndexByte(*text, 0) >= 0 {
			*text = strings.ReplaceAll(strings.ToValidUTF8(*text, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return e
}
