package sqlstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"ellis.example/idp/internal/unit"
)

// applier applies the writes of one type.
type applier struct {
	of    reflect.Type
	apply func(*tx, unit.Write) error
}

// on makes an applier for writes of type W.
func on[W unit.Write](f func(*tx, W) error) applier {
	return applier{of: reflect.TypeFor[W](), apply: func(t *tx, w unit.Write) error { return f(t, w.(W)) }}
}

// appliers lists what every owner can apply.
var appliers = byType(
	coreWrites(), accountWrites(), keyringWrites(), clientWrites(), apiWrites(), grantWrites(), factorWrites(), throttleWrites(), sessionWrites(), outboxWrites(),
)

func byType(lists ...[]applier) map[reflect.Type]applier {
	m := map[reflect.Type]applier{}
	for _, a := range slices.Concat(lists...) {
		m[a.of] = a
	}
	return m
}

func applyWrite(t *tx, w unit.Write) error {
	a, ok := appliers[reflect.TypeOf(w)]
	if !ok {
		return fmt.Errorf("no applier for %T", w)
	}
	return a.apply(t, w)
}

func coreWrites() []applier { return []applier{on(applySpend)} }

func applySpend(t *tx, w unit.Spend) error {
	return t.mustOne(w, "already spent", `INSERT INTO spent (kind, key, ref, until) VALUES (?,?,?,?)`, w.Kind, w.Key[:], w.Ref, micros(w.Until))
}

// Spent implements unit.SpentReader.
func (s *Store) Spent(ctx context.Context, kind string, key [32]byte) (string, bool, error) {
	var ref string
	err := s.row(ctx, `SELECT ref FROM spent WHERE kind = ? AND key = ?`, kind, key[:]).Scan(&ref)
	if err != nil {
		return "", false, or(err, nil)
	}
	return ref, true, nil
}
