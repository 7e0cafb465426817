package sqlstore

import (
	"context"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var (
	_ api.Reader = (*Store)(nil)
	_ api.Source = (*Store)(nil)
)

func apiWrites() []applier { return []applier{on(applyAPICreate), on(applyAPIUpdate)} }

func applyAPICreate(t *sqldb.Tx, w api.Create) error {
	if err := t.MustOne(w, "id or audience taken", `INSERT INTO apis (id, audience, metadata, version) VALUES (?,?,?,1)`, w.API.ID, w.API.Audience, text(w.API)); err != nil {
		return err
	}
	return ownScopes(t, w, w.API)
}

func applyAPIUpdate(t *sqldb.Tx, w api.Update) error {
	if err := t.MustOne(w, "version moved on, or audience taken", `UPDATE apis SET audience = ?, metadata = ?, version = version + 1 WHERE id = ? AND version = ?`,
		w.API.Audience, text(w.API), w.API.ID, w.API.Version); err != nil {
		return err
	}
	return ownScopes(t, w, w.API)
}

// ownScopes replaces what scopes an API owns.
func ownScopes(t *sqldb.Tx, w unit.Write, a api.API) error {
	if err := t.Run(`DELETE FROM api_scopes WHERE api = ?`, a.ID); err != nil {
		return err
	}
	for _, sc := range a.Scopes {
		if err := t.MustOne(w, "scope belongs to another API", `INSERT INTO api_scopes (name, api) VALUES (?,?)`, sc.Name, a.ID); err != nil {
			return err
		}
	}
	return moved(t, "apis")
}

// APIs implements api.Reader and api.Source.
func (s *Store) APIs(ctx context.Context) (out []api.API, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var a api.API
		var id, audience, metadata string
		var version int64
		if err := scan(&id, &audience, &metadata, &version); err != nil {
			return err
		}
		err := fromText(metadata, &a)
		a.ID, a.Audience, a.Version = id, audience, version
		out = append(out, a)
		return err
	}, `SELECT id, audience, metadata, version FROM apis ORDER BY id`)
	return out, err
}

// APIsVersion implements api.Source.
func (s *Store) APIsVersion(ctx context.Context) (int64, error) { return s.version(ctx, "apis") }
