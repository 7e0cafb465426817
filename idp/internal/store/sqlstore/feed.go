package sqlstore

import (
	"context"
	"reflect"
	"slices"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/feed"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

var _ feed.Reader = (*Store)(nil)

func feedWrites() []applier { return []applier{on(applyRaiseEpoch)} }

func feedSweeps() []sweep {
	return []sweep{`DELETE FROM feed_events WHERE id IN (SELECT id FROM feed_events WHERE at > 0 AND at < ? LIMIT ?)`}
}

// telling are the writes that may end something that an API has tokens of.
var telling = func() map[reflect.Type]bool {
	m := map[reflect.Type]bool{}
	for _, w := range []unit.Write{
		session.End{}, session.EndAll{}, grant.Withdraw{}, grant.Revoke{}, grant.RevokeSession{}, grant.RevokeAccount{}, grant.RevokeClient{}, grant.RevokeAPI{}, grant.RevokeFamily{},
		grant.RevokeToken{}, account.SetStatus{}, client.Update{}, client.Delete{}, keyring.Move{}, feed.RaiseEpoch{},
	} {
		m[reflect.TypeOf(w)] = true
	}
	return m
}()

// tells reports whether a unit may have added to the feed.
func tells(u unit.Unit) bool {
	for _, w := range u.Writes {
		if telling[reflect.TypeOf(w)] {
			return true
		}
	}
	return false
}

// tell adds events to the feed: api, kind and ref of each row that a query yields. The same twice in one transaction is once.
func tell(t *sqldb.Tx, query string, args ...any) error {
	n, err := t.Exec(`INSERT INTO feed_events (api, kind, ref) SELECT DISTINCT n.api, n.kind, n.ref FROM (`+query+`) n
		WHERE n.api <> '' AND NOT EXISTS (SELECT 1 FROM feed_events e WHERE e.api = n.api AND e.seq IS NULL AND e.kind = n.kind AND e.ref = n.ref)`, args...)
	if err == nil && n > 0 {
		t.Later("feed", numberFeed)
	}
	return err
}

// numberFeed gives the events of this transaction their numbers. Nobody else commits any from here on until it has ended: what
// a follower sees of a line has no gap that is filled later. The time is asked for behind the first answer: when nobody else does.
func numberFeed(t *sqldb.Tx) error {
	if err := t.Serialize("feed"); err != nil {
		return err
	}
	if _, err := t.Exec(`INSERT INTO feed_heads (api, seq) SELECT DISTINCT api, CAST(0 AS BIGINT) FROM feed_events WHERE seq IS NULL ON CONFLICT (api) DO NOTHING`); err != nil {
		return err
	}
	if err := t.Run(`UPDATE feed_events SET at = ?, seq = n.seq FROM (
			SELECT e.id, h.seq + row_number() OVER (PARTITION BY e.api ORDER BY e.id) AS seq FROM feed_events e JOIN feed_heads h ON h.api = e.api WHERE e.seq IS NULL) n
		WHERE feed_events.id = n.id`, micros(t.Now())); err != nil {
		return err
	}
	return t.Run(`UPDATE feed_heads SET seq = (SELECT max(e.seq) FROM feed_events e WHERE e.api = feed_heads.api)
		WHERE seq < (SELECT max(e.seq) FROM feed_events e WHERE e.api = feed_heads.api)`)
}

// recent is part of a condition over grants g: tokens of them may be about. Its two arguments are those of since.
const recent = `(g.at > ? OR EXISTS (SELECT 1 FROM families f WHERE f.grant_id = g.id AND f.used_at > ?))`

func since(at time.Time) int64 { return micros(at.Add(-feed.Recent)) }

// tellGrants tells of the grants that were just revoked at a time; where is a further condition over them.
func tellGrants(t *sqldb.Tx, at time.Time, where string, args ...any) error {
	return tell(t, `SELECT g.api, 'grant' AS kind, g.txn AS ref FROM grants g WHERE g.revoked_at = ? AND `+recent+` AND `+where,
		append([]any{micros(at), since(at), since(at)}, args...)...)
}

// tellSessions tells of sessions that have just ended to every API that may have tokens of them.
func tellSessions(t *sqldb.Tx, at time.Time, where string, args ...any) error {
	return tell(t, `SELECT g.api, 'session' AS kind, g.session AS ref FROM sessions s JOIN grants g ON g.session = s.id WHERE s.ended_at = ? AND `+recent+` AND `+where,
		append([]any{micros(at), since(at), since(at)}, args...)...)
}

// tellFamily tells of a family that was just revoked.
func tellFamily(t *sqldb.Tx, family string) error {
	return tell(t, `SELECT g.api, 'grant' AS kind, g.txn AS ref FROM families f JOIN grants g ON g.id = f.grant_id WHERE f.id = ?`, family)
}

// tellToken tells an API of one of its tokens.
func tellToken(t *sqldb.Tx, api, jti string) error {
	return tell(t, `SELECT CAST(? AS TEXT) AS api, 'token' AS kind, CAST(? AS TEXT) AS ref`, api, jti)
}

// tellAccount tells of an account that is in good standing no more.
func tellAccount(t *sqldb.Tx, id string, at time.Time) error {
	return tell(t, `SELECT g.api, 'account' AS kind, g.account AS ref FROM grants g WHERE g.account = ? AND `+recent, id, since(at), since(at))
}

// registered is a client as it is registered now; the zero value if it is not.
func registered(t *sqldb.Tx, id string) (c client.Client, err error) {
	var metadata string
	if err := t.Row(`SELECT metadata FROM clients WHERE id = ?`, id).Scan(&metadata); err != nil {
		return c, sqldb.Or(err, nil)
	}
	return c, fromText(metadata, &c)
}

// openTo are the APIs that a client gets tokens of for itself. Of these no row is kept.
func openTo(c client.Client) []string {
	if c.Disabled || !slices.Contains(c.GrantTypes, client.GrantClientCredentials) {
		return nil
	}
	return c.APIs
}

// tellClient tells APIs of a client that gets less of them than it did. They are told at once: when it loses the rest later,
// nobody knows of them.
func tellClient(t *sqldb.Tx, id string, apis []string) error {
	for _, api := range apis {
		if err := tell(t, `SELECT CAST(? AS TEXT) AS api, 'client' AS kind, CAST(? AS TEXT) AS ref`, api, id); err != nil {
			return err
		}
	}
	return nil
}

// tellKey tells every API of a signing key that is good no more.
func tellKey(t *sqldb.Tx, kid string) error {
	return tell(t, `SELECT id AS api, 'key' AS kind, CAST(? AS TEXT) AS ref FROM apis`, kid)
}

func applyRaiseEpoch(t *sqldb.Tx, w feed.RaiseEpoch) error {
	if err := t.Run(`UPDATE feed_line SET name = ?`, w.Line); err != nil {
		return err
	}
	return tell(t, `SELECT id AS api, 'epoch' AS kind, CAST(? AS TEXT) AS ref FROM apis`, w.Epoch)
}

// OnFeed has f called after each commit of this process that may have added to the feed.
func (s *Store) OnFeed(f func()) { s.fed.Store(&f) }

// unlessHalted makes what was read of the feed an error in a process that found its database set back: what was revoked since is
// not in there, and who hears of nothing would take it for standing.
func (s *Store) unlessHalted(err error) error {
	if err == nil && s.watch.Halted() {
		return epoch.ErrSetBack
	}
	return err
}

// FeedLine implements feed.Reader. Errors: epoch.ErrSetBack.
func (s *Store) FeedLine(ctx context.Context, api string, since time.Time) (l feed.Line, err error) {
	err = s.db.Row(ctx, `SELECT f.name, coalesce(h.seq, 0),
			coalesce((SELECT min(e.seq) FROM feed_events e WHERE e.api = ?1), 0),
			coalesce((SELECT min(e.seq) FROM feed_events e WHERE e.api = ?1 AND e.at >= ?2), 0)
		FROM feed_line f LEFT JOIN feed_heads h ON h.api = ?1`, api, micros(since)).Scan(&l.Name, &l.Last, &l.First, &l.Since)
	return l, s.unlessHalted(err)
}

// FeedEvents implements feed.Reader. Errors: epoch.ErrSetBack.
func (s *Store) FeedEvents(ctx context.Context, api string, after int64, limit int) (out []feed.Event, err error) {
	err = s.db.Rows(ctx, func(scan func(...any) error) error {
		e := feed.Event{API: api}
		var at int64
		err := scan(&e.Seq, &e.Kind, &e.Ref, &at)
		e.At = timeOf(at)
		out = append(out, e)
		return err
	}, `SELECT seq, kind, ref, at FROM feed_events WHERE api = ? AND seq > ? ORDER BY seq LIMIT ?`, api, after, limit)
	return out, s.unlessHalted(err)
}

// FeedHeads implements feed.Reader. Errors: epoch.ErrSetBack.
func (s *Store) FeedHeads(ctx context.Context) (feed.Heads, error) {
	h := feed.Heads{Last: map[string]int64{}}
	err := s.db.Rows(ctx, func(scan func(...any) error) error {
		var api string
		var seq int64
		err := scan(&h.Name, &api, &seq)
		h.Last[api] = seq
		return err
	}, `SELECT f.name, coalesce(h.api, ''), coalesce(h.seq, 0) FROM feed_line f LEFT JOIN feed_heads h ON h.seq > 0`)
	return h, s.unlessHalted(err)
}
