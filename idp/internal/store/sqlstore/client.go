package sqlstore

import (
	"context"
	"slices"
	"strings"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/sqldb"
)

var (
	_ client.Reader = (*Store)(nil)
	_ client.Source = (*Store)(nil)
)

func clientWrites() []applier {
	return []applier{on(applyClientCreate), on(applyClientUpdate), on(applyClientSecret), on(applyClientDelete)}
}

func applyClientCreate(t *sqldb.Tx, w client.Create) error {
	c := w.Client
	if err := t.MustOne(w, "client exists", `INSERT INTO clients (id, metadata, secret_hash, created_at, updated_at, version) VALUES (?,?,?,?,?,1)`,
		c.ID, text(c), c.SecretHash[:], micros(c.CreatedAt), micros(c.CreatedAt)); err != nil {
		return err
	}
	return moved(t, "clients")
}

func applyClientUpdate(t *sqldb.Tx, w client.Update) error {
	c := w.Client
	was, err := registered(t, c.ID)
	if err != nil {
		return err
	}
	if err := t.MustOne(w, "version moved on", `UPDATE clients SET metadata = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?`,
		text(c), micros(c.UpdatedAt), c.ID, c.Version); err != nil {
		return err
	}
	lost, err := narrowed(t, was, c)
	if err != nil {
		return err
	}
	if err := tellClient(t, c.ID, lost); err != nil {
		return err
	}
	return moved(t, "clients")
}

// narrowed lists the APIs of which a client gets less for itself than it did: nothing, or a scope less.
func narrowed(t *sqldb.Tx, was, is client.Client) (lost []string, err error) {
	gone := slices.DeleteFunc(strings.Fields(was.Scope), is.HasScope)
	for _, a := range openTo(was) {
		less := !slices.Contains(openTo(is), a)
		for i := 0; i < len(gone) && !less; i++ {
			if err := t.Row(`SELECT EXISTS (SELECT 1 FROM api_scopes WHERE api = ? AND name = ?)`, a, gone[i]).Scan(&less); err != nil {
				return nil, err
			}
		}
		if less {
			lost = append(lost, a)
		}
	}
	return lost, nil
}

func applyClientSecret(t *sqldb.Tx, w client.RotateSecret) error {
	if err := t.MustOne(w, "version moved on", `UPDATE clients SET secret_hash = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?`,
		w.Hash[:], micros(w.At), w.ID, w.Version); err != nil {
		return err
	}
	return moved(t, "clients")
}

func applyClientDelete(t *sqldb.Tx, w client.Delete) error {
	was, err := registered(t, w.ID)
	if err != nil {
		return err
	}
	if err := t.MustOne(w, "version moved on", `DELETE FROM clients WHERE id = ? AND version = ?`, w.ID, w.Version); err != nil {
		return err
	}
	if err := tellClient(t, w.ID, openTo(was)); err != nil {
		return err
	}
	return moved(t, "clients")
}

const clientColumns = `SELECT id, metadata, secret_hash, created_at, updated_at, version FROM clients`

// Client implements client.Reader.
func (s *Store) Client(ctx context.Context, id string) (client.Client, error) {
	c, err := scanClient(s.db.Row(ctx, clientColumns+` WHERE id = ?`, id).Scan)
	return c, sqldb.Or(err, client.ErrNotFound)
}

// Clients implements client.Reader and client.Source.
func (s *Store) Clients(ctx context.Context) (out []client.Client, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		c, err := scanClient(scan)
		out = append(out, c)
		return err
	}, clientColumns+` ORDER BY id`)
	return out, err
}

func scanClient(scan func(...any) error) (c client.Client, err error) {
	var id, metadata string
	var secret []byte
	var created, updated int64
	if err = scan(&id, &metadata, &secret, &created, &updated, &c.Version); err != nil {
		return c, err
	}
	err = fromText(metadata, &c)
	c.ID, c.SecretHash, c.CreatedAt, c.UpdatedAt = id, hash32(secret), timeOf(created), timeOf(updated)
	return c, err
}

// ClientsVersion implements client.Source.
func (s *Store) ClientsVersion(ctx context.Context) (int64, error) { return s.version(ctx, "clients") }
