package sqlstore

import (
	"context"
	"time"

	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/sqldb"
)

const grantColumns = `g.id, g.account, g.client, g.session, g.scopes, g.api, g.txn, g.auth_time, g.acr, g.amr, g.nonce, g.at, g.revoked_at`

// grantRow scans the columns of grantColumns.
type grantRow struct {
	g                 grant.Grant
	scopes, amr       string
	auth, at, revoked int64
}

func (r *grantRow) dest() []any {
	return []any{&r.g.ID, &r.g.Account, &r.g.Client, &r.g.Session, &r.scopes, &r.g.API, &r.g.Txn, &r.auth, &r.g.ACR, &r.amr, &r.g.Nonce, &r.at, &r.revoked}
}

func (r *grantRow) grant() (grant.Grant, error) {
	r.g.AuthTime, r.g.At, r.g.Revoked = timeOf(r.auth), timeOf(r.at), timeOf(r.revoked)
	if err := fromText(r.scopes, &r.g.Scopes); err != nil {
		return grant.Grant{}, err
	}
	return r.g, fromText(r.amr, &r.g.AMR)
}

// Grant implements grant.Reader.
func (s *Store) Grant(ctx context.Context, id string) (grant.Grant, error) {
	var r grantRow
	if err := s.db.Row(ctx, `SELECT `+grantColumns+` FROM grants g WHERE g.id = ?`, id).Scan(r.dest()...); err != nil {
		return grant.Grant{}, sqldb.Or(err, grant.ErrNotFound)
	}
	return r.grant()
}

// RefreshByHash implements grant.Reader. A family whose grant is revoked comes back as revoked.
func (s *Store) RefreshByHash(ctx context.Context, h [32]byte) (grant.Refresh, grant.Family, grant.Grant, error) {
	r, f := grant.Refresh{Hash: h}, grant.Family{}
	var gr grantRow
	var child []byte
	var at, used, created, fused, expires, revoked int64
	err := s.db.Row(ctx, `SELECT r.family, r.at, r.used_at, r.child, r.sealed, r.scope, r.resource,
		f.id, f.grant_id, f.client, f.created_at, f.used_at, f.expires_at, f.revoked_at, `+grantColumns+`
		FROM refresh_tokens r JOIN families f ON f.id = r.family JOIN grants g ON g.id = f.grant_id WHERE r.hash = ?`, h[:]).
		Scan(append([]any{&r.Family, &at, &used, &child, &r.Sealed, &r.Scope, &r.Resource,
			&f.ID, &f.Grant, &f.Client, &created, &fused, &expires, &revoked}, gr.dest()...)...)
	if err != nil {
		return grant.Refresh{}, grant.Family{}, grant.Grant{}, sqldb.Or(err, grant.ErrNotFound)
	}
	g, err := gr.grant()
	r.At, r.UsedAt, r.Child = timeOf(at), timeOf(used), hash32(child)
	f.CreatedAt, f.UsedAt, f.ExpiresAt, f.Revoked = timeOf(created), timeOf(fused), timeOf(expires), earliest(timeOf(revoked), g.Revoked)
	return r, f, g, err
}

// AccessToken implements grant.Reader. A token is revoked with its family or grant: no row of its own says so.
func (s *Store) AccessToken(ctx context.Context, jti string) (grant.AccessToken, grant.Grant, error) {
	a := grant.AccessToken{JTI: jti}
	var gr grantRow
	var at, expires, family, own int64
	err := s.db.Row(ctx, `SELECT a.grant_id, a.family, a.api, a.scope, a.at, a.expires_at, coalesce(f.revoked_at, 0), coalesce(t.at, 0), `+grantColumns+`
		FROM access_tokens a JOIN grants g ON g.id = a.grant_id LEFT JOIN families f ON f.id = a.family LEFT JOIN revoked_tokens t ON t.jti = a.jti WHERE a.jti = ?`, jti).
		Scan(append([]any{&a.Grant, &a.Family, &a.API, &a.Scope, &at, &expires, &family, &own}, gr.dest()...)...)
	if err != nil {
		if err = sqldb.Or(err, nil); err != nil {
			return grant.AccessToken{}, grant.Grant{}, err
		}
		return s.tombstone(ctx, jti)
	}
	g, err := gr.grant()
	a.At, a.ExpiresAt, a.Revoked = timeOf(at), timeOf(expires), earliest(timeOf(own), timeOf(family), g.Revoked)
	return a, g, err
}

// tombstone returns what is known of a token that was revoked without a row of its own.
func (s *Store) tombstone(ctx context.Context, jti string) (grant.AccessToken, grant.Grant, error) {
	var at, until int64
	if err := s.db.Row(ctx, `SELECT at, until FROM revoked_tokens WHERE jti = ?`, jti).Scan(&at, &until); err != nil {
		return grant.AccessToken{}, grant.Grant{}, sqldb.Or(err, grant.ErrNotFound)
	}
	return grant.AccessToken{JTI: jti, ExpiresAt: timeOf(until), Revoked: timeOf(at)}, grant.Grant{}, nil
}

// earliest returns the first of the times that are set, or the zero time.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

const consentColumns = `SELECT account, client, scope, at FROM consents`

// Consents implements grant.Reader.
func (s *Store) Consents(ctx context.Context, account, client string) ([]grant.Consent, error) {
	return s.consents(ctx, consentColumns+` WHERE account = ? AND client = ? ORDER BY scope`, account, client)
}

// ConsentsOf implements grant.Reader.
func (s *Store) ConsentsOf(ctx context.Context, account string) ([]grant.Consent, error) {
	return s.consents(ctx, consentColumns+` WHERE account = ? ORDER BY client, scope`, account)
}

func (s *Store) consents(ctx context.Context, query string, args ...any) (out []grant.Consent, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		var c grant.Consent
		var at int64
		err := scan(&c.Account, &c.Client, &c.Scope, &at)
		c.At = timeOf(at)
		out = append(out, c)
		return err
	}, query, args...)
	return out, err
}
