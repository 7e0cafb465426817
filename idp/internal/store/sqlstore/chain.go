package sqlstore

import (
	"fmt"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

// auditChain keeps audit events: their canonical text is what is stored and hashed.
type auditChain struct{}

// Encode implements sqldb.Chain.
func (auditChain) Encode(at time.Time, e unit.Event) ([]byte, error) {
	event, ok := e.(audit.Event)
	if !ok {
		return nil, fmt.Errorf("unit carries a %T in place of an audit.Event", e)
	}
	return audit.Encode(at, event)
}

// Enter implements sqldb.Chain.
func (auditChain) Enter(t *sqldb.Tx, name string, at time.Time) (id int64, err error) {
	var genesis chain.Hash
	err = t.Row(`INSERT INTO audit_writers (name, started_at, head_seq, head_hash) VALUES (?,?,0,?) RETURNING id`, name, micros(at), genesis[:]).Scan(&id)
	return id, err
}

const insertEvent = `INSERT INTO audit_events (writer, seq, at, body, hash) VALUES (?,?,?,?,?)`

// Append implements sqldb.Chain.
func (auditChain) Append(t *sqldb.Tx, id int64, entries []sqldb.Entry) error {
	rows := make([]any, 0, len(entries)*5)
	for i := range entries {
		r := &entries[i].Record
		rows = append(rows, id, r.Seq, micros(entries[i].At), r.Body, r.Hash[:])
	}
	return t.Many(insertEvent, rows)
}

// Save implements sqldb.Chain.
func (auditChain) Save(t *sqldb.Tx, id int64, from, to chain.Head, moved error) error {
	return t.OneOr(moved, `UPDATE audit_writers SET head_seq = ?, head_hash = ? WHERE id = ? AND head_seq = ? AND head_hash = ?`, to.Seq, to.Hash[:], id, from.Seq, from.Hash[:])
}
