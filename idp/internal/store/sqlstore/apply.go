package sqlstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

// applier applies the writes of one type.
type applier struct {
	of    reflect.Type
	apply func(*sqldb.Tx, unit.Write) error
}

// on makes an applier for writes of type W.
func on[W unit.Write](f func(*sqldb.Tx, W) error) applier {
	return applier{of: reflect.TypeFor[W](), apply: func(t *sqldb.Tx, w unit.Write) error { return f(t, w.(W)) }}
}

// appliers lists what every owner can apply.
var appliers = byType(
	coreWrites(), accountWrites(), keyringWrites(), clientWrites(), apiWrites(), grantWrites(), factorWrites(), throttleWrites(), sessionWrites(), outboxWrites(), feedWrites(), leaseWrites(), epochWrites(),
)

func byType(lists ...[]applier) map[reflect.Type]applier {
	m := map[reflect.Type]applier{}
	for _, a := range slices.Concat(lists...) {
		m[a.of] = a
	}
	return m
}

func applyWrite(t *sqldb.Tx, w unit.Write) error {
	a, ok := appliers[reflect.TypeOf(w)]
	if !ok {
		return fmt.Errorf("no applier for %T", w)
	}
	return a.apply(t, w)
}

func coreWrites() []applier { return []applier{on(applySpend)} }

func applySpend(t *sqldb.Tx, w unit.Spend) error {
	return t.MustOne(w, "already spent", `INSERT INTO spent (kind, key, ref, until) VALUES (?,?,?,?)`, w.Kind, w.Key[:], w.Ref, micros(w.Until))
}

// Spent implements unit.SpentReader.
func (s *Store) Spent(ctx context.Context, kind string, key [32]byte) (string, bool, error) {
	var ref string
	err := s.db.Row(ctx, `SELECT ref FROM spent WHERE kind = ? AND key = ?`, kind, key[:]).Scan(&ref)
	if err != nil {
		return "", false, sqldb.Or(err, nil)
	}
	return ref, true, nil
}
