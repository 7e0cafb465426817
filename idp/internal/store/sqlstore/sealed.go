package sqlstore

import (
	"context"
	"fmt"
	"slices"

	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/sqldb"
)

var _ keyring.SealedReader = (*Store)(nil)

// sealedPlace is a table with a column of values under the key-encryption key. An empty value is none.
type sealedPlace struct {
	name   string
	list   string // row, what its owner is made of, value
	under  string // the next key after one, in the order of bytes
	reseal string
	owner  func(row, of string) (owner, older string)
}

// sealedPlaces lists every column that is named "sealed"; a test compares it with the schema.
var sealedPlaces = []sealedPlace{
	{
		name:   "signing_keys",
		list:   `SELECT id, alg, sealed FROM signing_keys WHERE id > ? AND length(sealed) > 0 ORDER BY id LIMIT ?`,
		under:  `SELECT substr(sealed, 1, 4) AS k FROM signing_keys WHERE substr(sealed, 1, 4) > ? ORDER BY k LIMIT 1`,
		reseal: `UPDATE signing_keys SET sealed = ? WHERE id = ? AND sealed = ?`,
		owner:  func(row, alg string) (string, string) { return keyring.KeyOwner(row, alg), "" },
	},
	{
		name:   "secrets",
		list:   `SELECT name, '', sealed FROM secrets WHERE name > ? ORDER BY name LIMIT ?`,
		under:  `SELECT substr(sealed, 1, 4) AS k FROM secrets WHERE substr(sealed, 1, 4) > ? ORDER BY k LIMIT 1`,
		reseal: `UPDATE secrets SET sealed = ? WHERE name = ? AND sealed = ?`,
		owner:  func(row, _ string) (string, string) { return keyring.SecretOwner(row), "" },
	},
	{
		name:   "totps",
		list:   `SELECT id, account, sealed FROM totps WHERE id > ? ORDER BY id LIMIT ?`,
		under:  `SELECT substr(sealed, 1, 4) AS k FROM totps WHERE substr(sealed, 1, 4) > ? ORDER BY k LIMIT 1`,
		reseal: `UPDATE totps SET sealed = ? WHERE id = ? AND sealed = ?`,
		owner:  factor.SeedOwner,
	},
	{
		name:   "outbox",
		list:   `SELECT id, '', sealed FROM outbox WHERE id > ? AND sent_at = 0 ORDER BY id LIMIT ?`,
		under:  `SELECT substr(sealed, 1, 4) AS k FROM outbox WHERE sent_at = 0 AND substr(sealed, 1, 4) > ? ORDER BY k LIMIT 1`,
		reseal: `UPDATE outbox SET sealed = ? WHERE id = ? AND sealed = ? AND sent_at = 0`,
		owner:  func(row, _ string) (string, string) { return notify.MailOwner(row), "" },
	},
}

func placeOf(name string) (sealedPlace, error) {
	i := slices.IndexFunc(sealedPlaces, func(p sealedPlace) bool { return p.name == name })
	if i < 0 {
		return sealedPlace{}, fmt.Errorf("nothing sealed is kept in %q", name)
	}
	return sealedPlaces[i], nil
}

func applyReseal(t *sqldb.Tx, w keyring.Reseal) error {
	p, err := placeOf(w.Place)
	if err != nil {
		return err
	}
	if err := underActive(t, w.New); err != nil {
		return err
	}
	return t.MustOne(w, "the value changed or went meanwhile", p.reseal, w.New, w.Row, w.Old)
}

// SealedPlaces implements keyring.SealedReader.
func (s *Store) SealedPlaces() (out []string) {
	for _, p := range sealedPlaces {
		out = append(out, p.name)
	}
	return out
}

// SealedValues implements keyring.SealedReader.
func (s *Store) SealedValues(ctx context.Context, place, after string, limit int) (out []keyring.Sealed, err error) {
	p, err := placeOf(place)
	if err != nil {
		return nil, err
	}
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		v := keyring.Sealed{Place: place}
		var of string
		err := scan(&v.Row, &of, &v.Value)
		v.Owner, v.Older = p.owner(v.Row, of)
		out = append(out, v)
		return err
	}, p.list, after, limit)
	return out, err
}

// SealedUnder implements keyring.SealedReader. It leaps from key to key through an index, or through a small table.
func (s *Store) SealedUnder(ctx context.Context, place string) (out []seal.KeyID, err error) {
	p, err := placeOf(place)
	if err != nil {
		return nil, err
	}
	for last := []byte{}; ; {
		var k []byte
		if err := s.db.Row(ctx, p.under, last).Scan(&k); err != nil {
			return out, sqldb.Or(err, nil)
		}
		id, _ := seal.KeyOf(append(k, make([]byte, seal.IDSize)...)) // a value cut short names no key that anybody has
		out, last = append(out, id), k
	}
}
