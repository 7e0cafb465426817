package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/grant"
)

// refreshRounds is how often each client is raced. 10,000 take an hour.
var refreshRounds = flag.Int("refresh-rounds", 4, "rounds of 64 parallel refreshes of one token, each client and kind of store")

// shape is what the database holds of a client's refresh families: the most tokens of one that can be used, tokens that two
// have as their child or that came of nothing, and families that stand.
func (w *world) shape(client string) (live, forks, families int) {
	w.Helper()
	w.count(&live, `SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM refresh_tokens r JOIN families f ON f.id = r.family WHERE f.client = ? AND r.used_at = 0 GROUP BY f.id) AS leaves`, client)
	var twice, strays int
	w.count(&twice, `SELECT count(*) FROM (SELECT child FROM refresh_tokens WHERE child IS NOT NULL GROUP BY child HAVING count(*) > 1) AS parents`)
	w.count(&strays, `SELECT count(*) FROM (SELECT family FROM refresh_tokens r WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens p WHERE p.child = r.hash) GROUP BY family HAVING count(*) > 1) AS roots`)
	w.count(&families, `SELECT count(*) FROM families WHERE client = ? AND revoked_at = 0`, client)
	return live, twice + strays, families
}

// refreshAtOnce refreshes one token 64 times at once. It returns the successors that were given out, and how many were
// refused for good.
func (w *world) refreshAtOnce(client, token string) (next map[string]bool, refused int) {
	w.Helper()
	var mu sync.Mutex
	next = map[string]bool{}
	together(64, func(int) {
		a := w.refresh(client, token)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case a.status == http.StatusOK:
			next[a.str("refresh_token")] = true
		case a.str("error") == "invalid_grant":
			refused++
		case a.status != http.StatusServiceUnavailable:
			w.Error(a.status, a.body)
		}
	})
	return next, refused
}

// Within the window for clients that lost an answer, all that ask at once get one and the same successor; after it nobody
// gets anything, and the family ends.
func TestAttack_B05_ParallelRefreshesHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		for _, client := range []string{"web", "native"} {
			token := w.tokens(ana, client).str("refresh_token")
			last := ""
			for round := range *refreshRounds {
				next, refused := w.refreshAtOnce(client, token)
				if len(next) != 1 || refused != 0 {
					t.Fatalf("%s, round %d: %d successors, and %d were refused", client, round, len(next), refused)
				}
				last = token
				for token = range next {
				}
				if live, forks, _ := w.shape(client); live != 1 || forks != 0 {
					t.Fatalf("%s, round %d: %d live leaves, %d forks", client, round, live, forks)
				}
			}
			w.clock.Advance(grant.RetryWindow + time.Second)
			if next, _ := w.refreshAtOnce(client, last); len(next) != 0 {
				t.Errorf("%s: after the window %d successors of a used token", client, len(next))
			}
			w.wants("the leaf of a family that was reused", w.refresh(client, token), http.StatusBadRequest, "invalid_grant")
			if _, _, families := w.shape(client); families != 0 {
				t.Errorf("%s: the family stands", client)
			}
		}
	})
}

func TestAttack_B06_AFamilyNeverForks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		first := w.tokens(ana, "web").str("refresh_token")
		second := w.refresh("web", first).str("refresh_token")
		together(64, func(i int) {
			if i%2 == 0 {
				w.refresh("web", first)
			} else {
				w.refresh("web", second)
			}
		})
		if live, forks, _ := w.shape("web"); live > 1 || forks != 0 {
			t.Errorf("%d live leaves, %d forks", live, forks)
		}
	})
}

func TestRefresh_RetryInTheWindowGetsTheSameSuccessor(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		first := w.tokens(ana, "web").str("refresh_token")
		second := w.refresh("web", first).str("refresh_token")
		if second == first || second == "" {
			t.Fatal("it does not rotate")
		}
		w.clock.Advance(10 * time.Second)
		again := w.refresh("web", first)
		if again.status != http.StatusOK || again.str("refresh_token") != second {
			t.Error("a retry after 10 s:", again.status, again.body)
		}
		if a := w.refresh("web", second); a.status != http.StatusOK {
			t.Error("the successor:", a.body)
		}
	})
}

func TestRefresh_ReuseRevokesFamily(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		for name, reuse := range map[string]func(first, second string) answer{
			"after the window": func(first, _ string) answer {
				w.clock.Advance(10*time.Second + time.Millisecond)
				return w.refresh("web", first)
			},
			"successor used": func(first, second string) answer { w.refresh("web", second); return w.refresh("web", first) },
			"other scope":    func(first, _ string) answer { return w.refresh("web", first, "scope", "openid") },
			"other resource": func(first, _ string) answer { return w.refresh("web", first, "resource", w.issuer) },
		} {
			a := w.tokens(ana, "web")
			first := a.str("refresh_token")
			b := w.refresh("web", first)
			w.wants(name, reuse(first, b.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			w.wants(name+": the successor", w.refresh("web", b.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			for i, access := range []string{a.str("access_token"), b.str("access_token")} {
				if w.active("cases", access) {
					t.Errorf("%s: access token %d survived the family", name, i)
				}
			}
		}
		if _, _, alive := w.shape("web"); alive != 0 {
			t.Errorf("%d families stand", alive)
		}
	})
}

func TestRefresh_AnotherClientNeitherUsesNorHarmsIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		first := w.tokens(ana, "web").str("refresh_token")
		for _, thief := range []string{"post", "key", "spa", "native"} {
			w.wants(thief, w.refresh(thief, first), http.StatusBadRequest, "invalid_grant")
		}
		a := w.refresh("web", first)
		if a.status != http.StatusOK {
			t.Fatal("the owner lost it:", a.body)
		}
		for _, thief := range []string{"post", "key", "spa"} { // a used one, outside and inside the window
			w.wants(thief, w.refresh(thief, first), http.StatusBadRequest, "invalid_grant")
		}
		if a = w.refresh("web", a.str("refresh_token")); a.status != http.StatusOK {
			t.Error("another client killed the family:", a.body)
		}
	})
}

func TestAttack_B11_RefreshNeedsTheClientsCredentials(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		for _, client := range []string{"web", "post", "key"} {
			f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {w.tokens(ana, client).str("refresh_token")}}
			w.wants("nothing", w.do(http.MethodPost, "/token", f), http.StatusUnauthorized, "invalid_client")
			f.Set("client_id", client)
			w.wants("client_id alone", w.do(http.MethodPost, "/token", f), http.StatusUnauthorized, "invalid_client")
			w.wants("a wrong secret", w.do(http.MethodPost, "/token", f, "Authorization", basicOf(client, "wrong")), http.StatusUnauthorized, "invalid_client")
			w.wants("another's secret", w.do(http.MethodPost, "/token", f, "Authorization", basicOf(client, w.secrets["machine"])), http.StatusUnauthorized, "invalid_client")
			f.Del("client_id")
			w.wants("another client", w.do(http.MethodPost, "/token", f, "Authorization", w.basic("machine")), http.StatusBadRequest, "unauthorized_client")
			if a := w.refresh(client, f.Get("refresh_token")); a.status != http.StatusOK {
				t.Errorf("%s lost its token: %s", client, a.body)
			}
		}
	})
}

func TestRefresh_ScopeNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.tokens(ana, "web").str("refresh_token")
	for _, wide := range []string{"cases.write", "openid profile", "openid cases.read cases.write", "cases.*", "Cases.read", "nonsense"} {
		w.wants(wide, w.refresh("web", token, "scope", wide), http.StatusBadRequest, "invalid_scope")
	}
	narrow := w.refresh("web", token, "scope", "cases.read")
	if narrow.status != http.StatusOK || narrow.str("scope") != "cases.read" || narrow.str("id_token") != "" {
		t.Fatal("narrower:", narrow.status, narrow.body)
	}
	_, c := claims(narrow.str("access_token"))
	if c["scope"] != "cases.read" {
		t.Error(c)
	}
	whole := w.refresh("web", narrow.str("refresh_token"))
	if whole.str("scope") != "cases.read offline_access openid" || whole.str("id_token") == "" {
		t.Error("narrowing stuck to the family:", whole.body)
	}
}

func TestRefresh_KeyClientsKeepTheirToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.tokens(ana, "key").str("refresh_token")
	for range 3 {
		w.clock.Advance(time.Hour)
		if a := w.refresh("key", token); a.status != http.StatusOK || a.str("refresh_token") != token {
			t.Fatal(a.status, a.body)
		}
	}
}

func TestRefresh_IDTokenKeepsWhoAndWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens(ana, "web")
	w.clock.Advance(time.Hour)
	b := w.refresh("web", a.str("refresh_token"))
	_, before := claims(a.str("id_token"))
	_, after := claims(b.str("id_token"))
	for _, same := range []string{"iss", "sub", "aud", "auth_time", "sid", "acr"} {
		if before[same] == nil || fmt.Sprint(before[same]) != fmt.Sprint(after[same]) {
			t.Errorf("%s: %v, then %v", same, before[same], after[same])
		}
	}
	if after["nonce"] != nil || after["iat"] == before["iat"] || after["jti"] == before["jti"] {
		t.Error(after)
	}
}

func TestRefresh_IsOnlyForWhoAskedForOfflineAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.tokens(ana, "web", "scope", "openid cases.read"); a.str("refresh_token") != "" {
		t.Error(a.body)
	}
}
