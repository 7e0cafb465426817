package sqlstore

import (
	"time"

	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var _ grant.Reader = (*Store)(nil)

// graceAfterEnd is how long a grant is kept after the last that can come of it, so that its row explains what the audit names.
const graceAfterEnd = 24 * time.Hour

func grantWrites() []applier {
	return []applier{
		on(applyAllow), on(applyWithdraw), on(applyGrantCreate), on(applyGrantRevoke), on(applyRevokeSession), on(applyRevokeAccount), on(applyRevokeClient), on(applyRevokeAPI),
		on(applyRequire), on(applyFamilyStart), on(applyRotate), on(applyFamilyTouch), on(applyRevokeFamily), on(applyIssue), on(applyRevokeToken),
	}
}

func grantSweeps() []sweep {
	return []sweep{
		`DELETE FROM access_tokens WHERE jti IN (SELECT jti FROM access_tokens WHERE expires_at < ? LIMIT ?)`,
		`DELETE FROM revoked_tokens WHERE jti IN (SELECT jti FROM revoked_tokens WHERE until < ? LIMIT ?)`,
		// A successor's text is of use in the retry window only.
		`UPDATE refresh_tokens SET sealed = NULL WHERE hash IN (SELECT hash FROM refresh_tokens WHERE sealed IS NOT NULL AND used_at < CAST(? AS BIGINT) - 60000000 LIMIT ?)`,
		`DELETE FROM refresh_tokens WHERE hash IN (SELECT r.hash FROM families f JOIN refresh_tokens r ON r.family = f.id WHERE f.expires_at < ? LIMIT ?)`,
		`DELETE FROM families WHERE id IN (SELECT id FROM families WHERE expires_at < ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.family = families.id) LIMIT ?)`,
		`DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE keep_until < ? LIMIT ?)`,
	}
}

func applyAllow(t *sqldb.Tx, w grant.Allow) error {
	for _, sc := range w.Scopes {
		if err := t.Run(`INSERT INTO consents (account, client, scope, at) VALUES (?,?,?,?) ON CONFLICT (account, client, scope) DO NOTHING`, w.Account, w.Client, sc, micros(w.At)); err != nil {
			return err
		}
	}
	return nil
}

func applyWithdraw(t *sqldb.Tx, w grant.Withdraw) error {
	consents, err := t.Exec(`DELETE FROM consents WHERE account = ? AND client = ?`, w.Account, w.Client)
	if err != nil {
		return err
	}
	grants, err := t.Exec(`UPDATE grants SET revoked_at = ? WHERE account = ? AND client = ? AND revoked_at = 0`, micros(w.At), w.Account, w.Client)
	if err == nil && consents+grants == 0 {
		return &unit.Conflict{Write: w, Why: "nothing to withdraw"}
	}
	if err != nil || grants == 0 {
		return err
	}
	return tellGrants(t, w.At, `g.account = ? AND g.client = ?`, w.Account, w.Client)
}

func applyGrantCreate(t *sqldb.Tx, w grant.Create) error {
	g := w.Grant
	return t.MustOne(w, "grant exists", `INSERT INTO grants (id, account, client, session, scopes, api, txn, auth_time, acr, amr, nonce, at, keep_until) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		g.ID, g.Account, g.Client, g.Session, text(g.Scopes), g.API, g.Txn, micros(g.AuthTime), g.ACR, text(g.AMR), g.Nonce, micros(g.At), micros(g.At.Add(graceAfterEnd)))
}

func applyGrantRevoke(t *sqldb.Tx, w grant.Revoke) error {
	n, err := t.Exec(`UPDATE grants SET revoked_at = ? WHERE id = ? AND revoked_at = 0`, micros(w.At), w.Grant)
	if err != nil || n == 0 {
		return err
	}
	return tellGrants(t, w.At, `g.id = ?`, w.Grant)
}

func applyRevokeSession(t *sqldb.Tx, w grant.RevokeSession) error {
	n, err := t.Exec(`UPDATE grants SET revoked_at = ? WHERE session = ? AND revoked_at = 0`, micros(w.At), w.Session)
	if err != nil || n == 0 {
		return err
	}
	return tellGrants(t, w.At, `g.session = ?`, w.Session)
}

func applyRevokeAccount(t *sqldb.Tx, w grant.RevokeAccount) error {
	n, err := t.Exec(`UPDATE grants SET revoked_at = ? WHERE account = ? AND (CAST(? AS TEXT) = '' OR session <> ?) AND revoked_at = 0`, micros(w.At), w.Account, w.ExceptSession, w.ExceptSession)
	if err != nil || n == 0 {
		return err
	}
	return tellGrants(t, w.At, `g.account = ?`, w.Account)
}

func applyRevokeClient(t *sqldb.Tx, w grant.RevokeClient) error {
	if err := t.Run(`DELETE FROM consents WHERE client = ?`, w.Client); err != nil {
		return err
	}
	n, err := t.Exec(`UPDATE grants SET revoked_at = ? WHERE client = ? AND revoked_at = 0`, micros(w.At), w.Client)
	if err != nil || n == 0 {
		return err
	}
	return tellGrants(t, w.At, `g.client = ?`, w.Client)
}

func applyRevokeAPI(t *sqldb.Tx, w grant.RevokeAPI) error {
	n, err := t.Exec(`UPDATE grants SET revoked_at = ? WHERE client = ? AND api = ? AND revoked_at = 0`, micros(w.At), w.Client, w.API)
	if err != nil || n == 0 {
		return err
	}
	return tellGrants(t, w.At, `g.client = ? AND g.api = ?`, w.Client, w.API)
}

func applyRequire(t *sqldb.Tx, w grant.Require) error {
	return t.MustFind(w, "the grant does not stand", `SELECT 1 FROM grants WHERE id = ? AND revoked_at = 0 FOR SHARE`, w.Grant)
}

func applyFamilyStart(t *sqldb.Tx, w grant.Start) error {
	f := w.Family
	if err := t.MustOne(w, "the grant does not stand, or has a family", `INSERT INTO families (id, grant_id, client, created_at, used_at, expires_at)
		SELECT ?, id, ?, CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT) FROM grants WHERE id = ? AND revoked_at = 0 FOR UPDATE`, f.ID, f.Client, micros(f.CreatedAt), micros(f.UsedAt), micros(f.ExpiresAt), f.Grant); err != nil {
		return err
	}
	if err := t.Run(`UPDATE grants SET keep_until = ? WHERE id = ?`, micros(f.ExpiresAt.Add(graceAfterEnd)), f.Grant); err != nil {
		return err
	}
	return insertRefresh(t, w, f.ID, w.First)
}

func insertRefresh(t *sqldb.Tx, w unit.Write, family string, r grant.Refresh) error {
	return t.MustOne(w, "refresh token exists, or the family has a live one", `INSERT INTO refresh_tokens (hash, family, at) VALUES (?,?,?)`, r.Hash[:], family, micros(r.At))
}

func applyRotate(t *sqldb.Tx, w grant.Rotate) error {
	if err := t.MustOne(w, "not the live leaf", `UPDATE refresh_tokens SET used_at = ?, child = ?, sealed = ?, scope = ?, resource = ? WHERE hash = ? AND family = ? AND used_at = 0`,
		micros(w.At), w.New.Hash[:], w.Sealed, w.Scope, w.Resource, w.Old[:], w.Family); err != nil {
		return err
	}
	if err := useFamily(t, w, w.Family, w.At); err != nil {
		return err
	}
	return insertRefresh(t, w, w.Family, w.New)
}

// useFamily notes that a family was used at a time, on condition that it and its grant stand then.
func useFamily(t *sqldb.Tx, w unit.Write, family string, at time.Time) error {
	return t.MustOne(w, "the family has ended", `UPDATE families SET used_at = ? WHERE id = ? AND revoked_at = 0 AND expires_at > ? AND used_at > ?
		AND EXISTS (SELECT 1 FROM grants g WHERE g.id = families.grant_id AND g.revoked_at = 0)`,
		micros(at), family, micros(at), micros(at.Add(-grant.IdleLifetime)))
}

func applyFamilyTouch(t *sqldb.Tx, w grant.Touch) error {
	if err := t.MustFind(w, "not the live leaf", `SELECT 1 FROM refresh_tokens WHERE hash = ? AND family = ? AND used_at = 0 FOR UPDATE`, w.Hash[:], w.Family); err != nil {
		return err
	}
	return useFamily(t, w, w.Family, w.At)
}

func applyRevokeFamily(t *sqldb.Tx, w grant.RevokeFamily) error {
	n, err := t.Exec(`UPDATE families SET revoked_at = ? WHERE id = ? AND revoked_at = 0`, micros(w.At), w.Family)
	if err != nil || n == 0 {
		return err
	}
	return tellFamily(t, w.Family)
}

func applyIssue(t *sqldb.Tx, w grant.Issue) error {
	a := w.Token
	return t.MustOne(w, "grant or family does not stand", `INSERT INTO access_tokens (jti, grant_id, family, api, scope, at, expires_at)
		SELECT ?, id, ?, ?, ?, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM grants WHERE id = ? AND revoked_at = 0
		AND (CAST(? AS TEXT) = '' OR EXISTS (SELECT 1 FROM families f WHERE f.id = ? AND f.grant_id = grants.id AND f.revoked_at = 0)) FOR SHARE`,
		a.JTI, a.Family, a.API, a.Scope, micros(a.At), micros(a.ExpiresAt), a.Grant, a.Family, a.Family)
}

func applyRevokeToken(t *sqldb.Tx, w grant.RevokeToken) error {
	n, err := t.Exec(`INSERT INTO revoked_tokens (jti, at, until) VALUES (?,?,?) ON CONFLICT (jti) DO NOTHING`, w.JTI, micros(w.At), micros(w.Until))
	if err != nil || n == 0 {
		return err
	}
	return tellToken(t, w.API, w.JTI)
}
