package sqlstore

import (
	"context"

	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/sqldb"
)

var _ keyring.Reader = (*Store)(nil)

func keyringWrites() []applier {
	return []applier{on(applyKeyAdd), on(applyKeyMove), on(applyAddSecret), on(applyReseal), on(applyActivateKEK), on(applyPresent), on(applyAbsent)}
}

// moved says that something of a kind has changed.
func moved(t *sqldb.Tx, kind string) error {
	return t.Run(`UPDATE versions SET n = n + 1 WHERE kind = ?`, kind)
}

// version returns the number of a kind.
func (s *Store) version(ctx context.Context, kind string) (n int64, err error) {
	err = s.db.Row(ctx, `SELECT n FROM versions WHERE kind = ?`, kind).Scan(&n)
	return n, err
}

func applyKeyAdd(t *sqldb.Tx, w keyring.Add) error {
	k := w.Key
	if err := underActive(t, k.Sealed); err != nil {
		return err
	}
	if err := t.MustOne(w, "key exists, or another holds its place", `INSERT INTO signing_keys (id, alg, state, public, sealed, created_at, active_at) VALUES (?,?,?,?,?,?,?)`,
		k.ID, k.Alg, string(k.State), string(k.Public), k.Sealed, micros(k.CreatedAt), micros(k.ActiveAt)); err != nil {
		return err
	}
	return moved(t, "keys")
}

func applyKeyMove(t *sqldb.Tx, w keyring.Move) error {
	const why = "key is in another state, or another holds its place"
	var err error
	to, from, at := string(w.To), string(w.From), micros(w.At)
	switch w.To {
	case keyring.Active:
		err = t.MustOne(w, why, `UPDATE signing_keys SET state = ?, active_at = ? WHERE id = ? AND state = ?`, to, at, w.ID, from)
	case keyring.Retired:
		err = t.MustOne(w, why, `UPDATE signing_keys SET state = ?, sealed = ? WHERE id = ? AND state = ?`, to, []byte{}, w.ID, from)
	case keyring.Discarded:
		err = t.MustOne(w, why, `UPDATE signing_keys SET state = ?, sealed = ?, ended_at = CASE WHEN ended_at = 0 THEN ? ELSE ended_at END WHERE id = ? AND state = ?`, to, []byte{}, at, w.ID, from)
	default:
		err = t.MustOne(w, why, `UPDATE signing_keys SET state = ?, ended_at = ? WHERE id = ? AND state = ?`, to, at, w.ID, from)
	}
	if err == nil && w.To == keyring.Discarded {
		err = tellKey(t, w.ID)
	}
	if err != nil {
		return err
	}
	return moved(t, "keys")
}

func applyAddSecret(t *sqldb.Tx, w keyring.AddSecret) error {
	if err := underActive(t, w.Sealed); err != nil {
		return err
	}
	return t.MustOne(w, "secret exists", `INSERT INTO secrets (name, sealed, created_at) VALUES (?,?,?)`, w.Name, w.Sealed, micros(w.At))
}

// Keys implements keyring.Reader.
func (s *Store) Keys(ctx context.Context) (out []keyring.Key, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var k keyring.Key
		var public string
		var created, active, ended int64
		if err := scan(&k.ID, &k.Alg, &k.State, &public, &k.Sealed, &created, &active, &ended); err != nil {
			return err
		}
		k.Public, k.CreatedAt, k.ActiveAt, k.EndedAt = []byte(public), timeOf(created), timeOf(active), timeOf(ended)
		out = append(out, k)
		return nil
	}, `SELECT id, alg, state, public, sealed, created_at, active_at, ended_at FROM signing_keys ORDER BY created_at, alg, state, id`)
	return out, err
}

// KeysVersion implements keyring.Reader.
func (s *Store) KeysVersion(ctx context.Context) (int64, error) { return s.version(ctx, "keys") }

// SealedSecret implements keyring.Reader.
func (s *Store) SealedSecret(ctx context.Context, name string) (sealed []byte, err error) {
	err = s.db.Row(ctx, `SELECT sealed FROM secrets WHERE name = ?`, name).Scan(&sealed)
	return sealed, sqldb.Or(err, keyring.ErrNoSecret)
}
