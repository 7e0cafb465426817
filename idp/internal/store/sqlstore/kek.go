package sqlstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/sqldb"
)

var _ keyring.RewrapStore = (*Store)(nil)

// kekLine is what those who seal hold beside each other, and who changes the active key holds alone.
const kekLine = "kek"

// activeKEK reads the name of the active key, as a number, where the other versions stand that processes go by.
const activeKEK = `SELECT n FROM versions WHERE kind = 'kek'`

func kekNumber(id seal.KeyID) int64 { return int64(binary.BigEndian.Uint32(id[:])) }

// underActive refuses what is sealed under another key than the active one. Whoever makes another key active waits for this
// transaction to end.
func underActive(t *sqldb.Tx, sealed []byte) error {
	id, ok := seal.KeyOf(sealed)
	if !ok {
		return nil
	}
	if err := t.SerializeShared(kekLine); err != nil {
		return err
	}
	var active int64
	err := t.Row(activeKEK).Scan(&active)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err == nil && active != kekNumber(id):
		return keyring.ErrKEKReplaced
	}
	return err
}

func applyActivateKEK(t *sqldb.Tx, w keyring.ActivateKEK) error {
	if err := t.Serialize(kekLine); err != nil {
		return err
	}
	return t.Run(`INSERT INTO versions (kind, n) VALUES ('kek', ?) ON CONFLICT (kind) DO UPDATE SET n = excluded.n`, kekNumber(w.Key))
}

// ActiveKEK implements keyring.KEKReader.
func (s *Store) ActiveKEK(ctx context.Context) (id seal.KeyID, ok bool, err error) {
	var n int64
	if err := s.db.Row(ctx, activeKEK).Scan(&n); err != nil {
		return id, false, sqldb.Or(err, nil)
	}
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id, true, nil
}

// replica begins the names of the rows in which replicas say that they run. They stand beside the leases: both are signs
// of life.
const replica = "replica:"

func applyPresent(t *sqldb.Tx, w keyring.Present) error {
	var keys []string
	for _, k := range w.Keys {
		keys = append(keys, k.String())
	}
	return t.Run(`INSERT INTO leases (name, holder, fence, beat, at) VALUES (?,?,0,1,?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, beat = leases.beat + 1, at = excluded.at`,
		replica+w.Replica, strings.Join(keys, " "), micros(w.At))
}

func applyAbsent(t *sqldb.Tx, w keyring.Absent) error {
	return t.Run(`DELETE FROM leases WHERE name = ?`, replica+w.Replica)
}

func replicaSweeps() []sweep {
	return []sweep{`DELETE FROM leases WHERE name IN (SELECT name FROM leases WHERE name LIKE 'replica:%' AND at < CAST(? AS BIGINT) - 86400000000 LIMIT ?)`}
}

// Replicas implements keyring.KEKReader.
func (s *Store) Replicas(ctx context.Context, since time.Time) (out []keyring.Replica, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var r keyring.Replica
		var keys string
		var at int64
		if err := scan(&r.ID, &keys, &at); err != nil {
			return err
		}
		r.ID, r.SeenAt = strings.TrimPrefix(r.ID, replica), timeOf(at)
		for _, k := range strings.Fields(keys) {
			if id, ok := seal.ParseKeyID(k); ok {
				r.Keys = append(r.Keys, id)
			}
		}
		out = append(out, r)
		return nil
	}, `SELECT name, holder, at FROM leases WHERE name LIKE 'replica:%' AND at >= ? ORDER BY name`, micros(since))
	return out, err
}
