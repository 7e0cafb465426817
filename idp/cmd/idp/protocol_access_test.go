package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/client"
)

// machine asks for a token of a client for itself.
func (w *world) machine(id string, pairs ...string) answer {
	w.Helper()
	return w.as(id, "/token", machineForm(pairs...))
}

func TestClientCredentials_GiveATokenForTheClientItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.machine("machine")
	if a.status != http.StatusOK || a.str("token_type") != "Bearer" || a.num("expires_in") != 300 || a.str("scope") != "cases.read" || a.object["refresh_token"] != nil || a.object["id_token"] != nil {
		t.Fatal(a.status, a.body)
	}
	head, c := claims(a.str("access_token"))
	if head["typ"] != "at+jwt" || head["alg"] != "ES256" || c["iss"] != w.issuer || c["sub"] != "machine" || c["client_id"] != "machine" || c["aud"] != casesAPI || c["scope"] != "cases.read" || c["jti"] == "" || c["sid"] != nil || c["acr"] != nil {
		t.Error(head, c)
	}
	letters := w.machine("machine", "scope", "letters.read")
	if head, c := claims(letters.str("access_token")); head["alg"] != "EdDSA" || c["aud"] != letterAPI {
		t.Error("the API's own algorithm:", head, c)
	}
	if a := w.machine("machine", "scope", "", "resource", casesAPI); a.str("error") != "invalid_target" {
		t.Error("all its scopes are of two APIs:", a.body)
	}
	if a := w.machine("key", "scope", ""); a.str("scope") != "cases.read" {
		t.Error("what it may, where it asks for nothing:", a.status, a.body)
	}
	for name, pairs := range map[string][]string{
		"about persons": {"scope", "openid"}, "mixed": {"scope", "cases.read profile"}, "offline": {"scope", "offline_access cases.read"}, "unknown": {"scope", "nonsense"}, "a wildcard": {"scope", "cases.*"},
	} {
		w.wants(name, w.machine("machine", pairs...), http.StatusBadRequest, "invalid_scope")
	}
	w.wants("another's", w.machine("key", "scope", "cases.write"), http.StatusBadRequest, "invalid_scope")
	for _, scope := range []string{"openid", "openid cases.read", "offline_access cases.read"} { // this client may ask for them, for a person
		w.wants(scope, w.machine("key", "scope", scope), http.StatusBadRequest, "invalid_scope")
	}
	for name, pairs := range map[string][]string{"two APIs": {"scope", "cases.read letters.read"}, "unknown": {"resource", "https://nobody.example"}, "not the scopes' API": {"resource", letterAPI}, "the issuer": {"resource", w.issuer}} {
		w.wants(name, w.machine("machine", pairs...), http.StatusBadRequest, "invalid_target")
	}
	w.wants("a public client", w.machine("spa"), http.StatusBadRequest, "unauthorized_client")
}

func TestClientCredentials_InTheQueryCountForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := url.Values{"client_id": {"post"}, "client_secret": {w.secrets["post"]}, "grant_type": {"refresh_token"}}
	w.wants("all in the query", w.do(http.MethodPost, "/token?"+q.Encode(), url.Values{}), http.StatusUnauthorized, "invalid_client")
	a := w.do(http.MethodPost, "/token?scope=cases.write&resource="+url.QueryEscape(letterAPI), machineForm(), "Authorization", w.basic("machine"))
	if a.str("scope") != "cases.read" || aud(a) != casesAPI {
		t.Error("the query changes what is asked for:", a.body)
	}
}

func TestUserInfo_TellsWhatTheScopeOpens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for scope, names := range map[string][]string{
		"openid": {"sub"}, "openid email": {"email", "email_verified", "sub"},
		"openid profile": {"birthdate", "family_name", "given_name", "locale", "name", "sub", "updated_at"},
	} {
		a := w.tokens(ana, "web", "scope", scope)
		_, id := claims(a.str("id_token"))
		for method, u := range map[string]answer{
			"GET": w.userinfo(a.str("access_token")), "POST with a header": w.do(http.MethodPost, "/userinfo", nil, "Authorization", "bearer "+a.str("access_token")),
			"POST with a form": w.do(http.MethodPost, "/userinfo", url.Values{"access_token": {a.str("access_token")}}),
		} {
			var got []string
			for k := range u.object {
				got = append(got, k)
			}
			slices.Sort(got)
			if u.status != http.StatusOK || !slices.Equal(got, names) || u.str("sub") != id["sub"] || u.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(u.header.Get("Content-Type"), "application/json") {
				t.Errorf("%s %s: %d %s, %s", method, scope, u.status, u.body, u.header)
			}
		}
	}
}

func TestUserInfo_RefusesWithAChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.tokens(ana, "web", "scope", "openid")
	access, expired := good.str("access_token"), w.tokens(ana, "web", "scope", "openid").str("access_token")
	forAPI, machine := w.tokens(ana, "web").str("access_token"), w.machine("machine").str("access_token")
	email := w.tokens(ana, "web", "scope", "email").str("access_token")
	none := w.do(http.MethodGet, "/userinfo", nil)
	if ch := none.header.Get("WWW-Authenticate"); none.status != http.StatusUnauthorized || ch != `Bearer realm="`+w.issuer+`"` {
		t.Error("nothing was sent, and yet it says", none.status, ch)
	}
	w.wants("in the query", w.do(http.MethodGet, "/userinfo?access_token="+access, nil), http.StatusUnauthorized, "invalid_token")
	w.wants("another scheme", w.do(http.MethodGet, "/userinfo", nil, "Authorization", "Token "+access), http.StatusUnauthorized, "invalid_token")
	for name, token := range map[string]string{"for an API": forAPI, "of a machine": machine, "an ID token": good.str("id_token"), "nothing like it": "x", "cut": access[:len(access)-1]} {
		a := w.userinfo(token)
		w.wants(name, a, http.StatusUnauthorized, "invalid_token")
		if ch := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(ch, `Bearer realm="`+w.issuer+`", error="invalid_token"`) {
			t.Error(name, ch)
		}
	}
	a := w.userinfo(email)
	w.wants("without openid", a, http.StatusForbidden, "insufficient_scope")
	if ch := a.header.Get("WWW-Authenticate"); !strings.Contains(ch, `scope="openid"`) {
		t.Error(ch)
	}
	if a := w.do(http.MethodPost, "/userinfo", url.Values{"access_token": {access}}, "Content-Type", "Application/X-WWW-Form-URLEncoded"); a.status != http.StatusOK {
		t.Errorf("a form's type in another case: %d %s", a.status, a.body)
	}
	w.wants("two ways", w.do(http.MethodPost, "/userinfo", url.Values{"access_token": {access}}, "Authorization", "Bearer "+access), http.StatusBadRequest, "invalid_request")
	w.wants("two headers", w.do(http.MethodGet, "/userinfo", nil, "Authorization", "Bearer "+access, "Authorization", "Bearer "+access), http.StatusBadRequest, "invalid_request")
	w.wants("twice in the form", w.do(http.MethodPost, "/userinfo", url.Values{"access_token": {access, access}}), http.StatusBadRequest, "invalid_request")
	if a := w.do(http.MethodDelete, "/userinfo", nil, "Authorization", "Bearer "+access); a.status != http.StatusMethodNotAllowed {
		t.Error("DELETE", a.status)
	}
	w.clock.Advance(5 * time.Minute)
	w.wants("expired", w.userinfo(expired), http.StatusUnauthorized, "invalid_token")
}

func TestIntrospection_TellsTheClientAndItsAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens(ana, "web")
	_, c := claims(a.str("access_token"))
	for _, who := range []string{"web", "cases"} {
		got := w.as(who, "/introspect", url.Values{"token": {a.str("access_token")}})
		if got.object["active"] != true || got.str("token_type") != "Bearer" {
			t.Fatal(who, got.body)
		}
		for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid", "txn", "acr"} {
			if c[name] == nil || got.object[name] != c[name] {
				t.Errorf("%s: %s is %v, in the token %v", who, name, got.object[name], c[name])
			}
		}
	}
	got := w.as("web", "/introspect", url.Values{"token": {a.str("refresh_token")}, "token_type_hint": {"access_token"}})
	if got.object["active"] != true || got.str("client_id") != "web" || got.str("scope") != "cases.read offline_access openid" || got.num("exp") != float64(w.clock.Now().Add(14*24*time.Hour).Unix()) {
		t.Error("a refresh token with a wrong hint:", got.body)
	}
	if got := w.as("cases", "/introspect", url.Values{"token": {w.machine("machine").str("access_token")}}); got.object["active"] != true || got.str("sub") != "machine" {
		t.Error("a machine's:", got.body)
	}
	w.wants("a public client", w.as("spa", "/introspect", url.Values{"token": {a.str("access_token")}}), http.StatusBadRequest, "unauthorized_client")
	w.wants("no token", w.as("web", "/introspect", url.Values{}), http.StatusBadRequest, "invalid_request")
	w.wants("nobody", w.do(http.MethodPost, "/introspect", url.Values{"token": {a.str("access_token")}}), http.StatusUnauthorized, "invalid_client")
	w.wants("a bearer", w.do(http.MethodPost, "/introspect", url.Values{"token": {a.str("access_token")}}, "Authorization", "Bearer "+a.str("access_token")), http.StatusUnauthorized, "invalid_client")
}

func TestIntrospection_OfAMachineThatLostWhatItsTokenWasFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := url.Values{"token": {w.machine("machine").str("access_token")}}
	active := func(what string, want bool) {
		t.Helper()
		if got := w.as("cases", "/introspect", token); got.object["active"] != want {
			t.Errorf("%s: %s", what, got.body)
		}
	}
	w.change("machine", func(c *client.Client) { c.APIs, c.Scope = []string{"cases"}, "cases.read cases.write" })
	active("another API is gone", true)
	w.change("machine", func(c *client.Client) { c.APIs, c.Scope = []string{"letters"}, "letters.read" })
	active("its API is gone", false)
	w.change("machine", func(c *client.Client) { c.APIs, c.Scope = []string{"cases"}, "cases.read" })
	active("it is back", false)
	w.clock.Advance(time.Second)
	token.Set("token", w.machine("machine").str("access_token"))
	active("a new one", true)
	w.change("machine", func(c *client.Client) { c.Disabled = true })
	active("disabled", false)
	w.change("machine", func(c *client.Client) { c.Disabled = false })
	active("enabled again", false)
	w.clock.Advance(time.Second)
	w.change("machine", func(c *client.Client) { c.Scope = "cases.read cases.write" })
	token.Set("token", w.as("machine", "/token", url.Values{"grant_type": {client.GrantClientCredentials}, "scope": {"cases.write"}}).str("access_token"))
	active("with a second scope", true)
	w.change("machine", func(c *client.Client) { c.Scope = "cases.read" })
	active("that is gone", false)
	w.clock.Advance(time.Second)
	token.Set("token", w.machine("machine").str("access_token"))
	active("with what is left", true)
	_, err := w.admin().UpdateAPI(w.Context(), "cases", func(a *api.API) error {
		a.Scopes = slices.DeleteFunc(a.Scopes, func(s api.Scope) bool { return s.Name == "cases.read" })
		return nil
	}, "operator:test")
	w.must(err)
	w.later()
	active("the API knows its scope no more", false)
}

func TestIntrospection_OfAnAppThatLostAnAPI(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		follower := w.follow("cases", casesAPI)
		a := w.tokens(ana, "web")
		letters := w.tokens(ana, "web", "scope", "openid letters.read", "resource", letterAPI)
		dead := func(what string) {
			t.Helper()
			w.everyReplica(func() {
				if w.active("cases", a.str("access_token")) {
					t.Errorf("%s, and a person's token for it stands", what)
				}
			})
			w.wants(what, w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		}
		var before client.Client
		w.change("web", func(c *client.Client) {
			before = *c
			c.APIs, c.Scope = []string{"letters"}, "openid offline_access letters.read"
		})
		dead("the API is gone")
		if heard := follower.next(); !slices.ContainsFunc(heard, func(s string) bool { return strings.HasPrefix(s, "grant ") }) {
			t.Errorf("the API heard %q", heard)
		}
		if !w.active("letters", letters.str("access_token")) {
			t.Error("another API's token ended too")
		}
		w.exec(`UPDATE grants SET revoked_at = 0`) // as if a replica had given it a moment later, by an old registration
		w.everyReplica(func() {
			if w.active("cases", a.str("access_token")) {
				t.Error("a grant from a moment later stands")
			}
		})
		w.exec(`UPDATE grants SET revoked_at = 1 WHERE api = 'cases'`)
		w.change("web", func(c *client.Client) { c.APIs, c.Scope = before.APIs, before.Scope })
		dead("it is back")
	})
}

func TestAttack_B21_IntrospectionTellsNobodyElse(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		b := w.browser()
		cases := w.redeem("web", b.newCode(ana, "web"))
		letters := w.redeem("web", b.newCode(ana, "web", "scope", "openid letters.read"))
		info := w.redeem("web", b.newCode(ana, "web", "scope", "openid"))
		dead := w.redeem("web", b.newCode(ana, "web"))
		w.as("web", "/revoke", url.Values{"token": {dead.str("access_token")}})
		unknown := w.as("letters", "/introspect", url.Values{"token": {"nonsense"}})
		if unknown.status != http.StatusOK || strings.TrimSpace(unknown.body) != `{"active":false}` {
			t.Fatal(unknown.status, unknown.body)
		}
		for name, q := range map[string][2]string{
			"another API's": {"letters", cases.str("access_token")}, "the other way round": {"cases", letters.str("access_token")}, "for UserInfo": {"cases", info.str("access_token")},
			"another client's access token": {"post", cases.str("access_token")}, "another client's refresh token": {"post", cases.str("refresh_token")}, "a refresh token, to the API": {"cases", cases.str("refresh_token")},
			"a machine's, to another API": {"letters", w.machine("machine").str("access_token")}, "an ID token": {"web", cases.str("id_token")}, "a revoked one": {"cases", dead.str("access_token")}, "its refresh token": {"web", "ert_" + strings.Repeat("A", 50)},
			"a code": {"web", b.newCode(ana, "web")}, "a client secret": {"web", w.secrets["web"]}, "empty parts": {"web", ".."}, "a long one": {"web", strings.Repeat("a", 20000)},
		} {
			a := w.as(q[0], "/introspect", url.Values{"token": {q[1]}})
			if a.status != unknown.status || a.body != unknown.body || a.header.Get("Cache-Control") != unknown.header.Get("Cache-Control") || a.header.Get("Content-Length") != unknown.header.Get("Content-Length") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	})
}

// revoked fails the test unless a revocation is answered as every one is.
func (w *world) revoked(client, token string, pairs ...string) {
	w.Helper()
	v := url.Values{"token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	if a := w.as(client, "/revoke", v); a.status != http.StatusOK || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
		w.Errorf("revocation by %s: %d %q", client, a.status, a.body)
	}
}

func TestRevocation_KillsWhatItSays(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		b := w.browser()
		first := w.redeem("web", b.newCode(ana, "web"))
		second := w.refresh("web", first.str("refresh_token"))
		other := w.redeem("web", b.newCode(ana, "web"))

		w.revoked("web", second.str("access_token"), "token_type_hint", "refresh_token")
		if w.active("cases", second.str("access_token")) || !w.active("cases", first.str("access_token")) {
			t.Error("one access token, and that alone")
		}
		third := w.refresh("web", second.str("refresh_token"))
		if third.status != http.StatusOK {
			t.Fatal("the family went with an access token:", third.body)
		}
		w.revoked("web", third.str("refresh_token"), "token_type_hint", "nonsense")
		for name, token := range map[string]string{"first": first.str("access_token"), "third": third.str("access_token")} {
			if w.active("cases", token) {
				t.Errorf("the %s access token outlives its family", name)
			}
		}
		w.wants("the family", w.refresh("web", third.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		if !w.active("cases", other.str("access_token")) || w.refresh("web", other.str("refresh_token")).status != http.StatusOK {
			t.Error("another grant went with it")
		}
		m := w.machine("machine").str("access_token")
		w.revoked("machine", m)
		if w.active("cases", m) || !w.active("cases", w.machine("machine").str("access_token")) {
			t.Error("a machine's token, and that alone")
		}
		info := w.tokens(ana, "web", "scope", "openid").str("access_token")
		w.revoked("web", info)
		w.wants("UserInfo", w.userinfo(info), http.StatusUnauthorized, "invalid_token")
	})
}

func TestRevocation_OfAnUsedRefreshTokenEndsTheFamily(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on kind) {
		w := on.world(t)
		first := w.tokens(ana, "spa")
		second := w.refresh("spa", first.str("refresh_token"))
		w.revoked("spa", first.str("refresh_token"))
		w.wants("its successor", w.refresh("spa", second.str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	})
}

func TestRevocation_OfWhatIsNoneOfItsBusinessDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tokens(ana, "web")
	m := w.machine("machine").str("access_token")
	for _, thief := range []string{"post", "key", "spa", "cases"} {
		for _, token := range []string{a.str("access_token"), a.str("refresh_token"), m} {
			w.revoked(thief, token)
		}
	}
	for _, nothing := range []string{"x", a.str("id_token"), "ert_" + strings.Repeat("A", 50), a.str("access_token")[:50]} {
		w.revoked("web", nothing)
	}
	if !w.active("cases", a.str("access_token")) || !w.active("cases", m) || w.refresh("web", a.str("refresh_token")).status != http.StatusOK {
		t.Error("somebody else's revocation counted")
	}
	w.wants("no token", w.as("web", "/revoke", url.Values{}), http.StatusBadRequest, "invalid_request")
	w.wants("nobody", w.do(http.MethodPost, "/revoke", url.Values{"token": {"x"}}), http.StatusUnauthorized, "invalid_client")
}

func TestClient_ThatLosesAGrantTypeLosesItAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	a := w.redeem("web", b.newCode(ana, "web"))
	w.change("web", func(c *client.Client) {
		c.GrantTypes, c.Scope = []string{client.GrantCode}, "openid profile email cases.read cases.write letters.read"
	})
	w.wants("refresh", w.refresh("web", a.str("refresh_token")), http.StatusBadRequest, "unauthorized_client")
	if got := w.redeem("web", b.newCode(ana, "web", "scope", "openid")); got.status != http.StatusOK || got.str("refresh_token") != "" {
		t.Error(got.body)
	}
	secret, err := w.admin().RotateSecret(t.Context(), "web", "operator:test")
	w.must(err)
	w.later()
	w.wants("the old secret", w.redeem("web", "x"), http.StatusUnauthorized, "invalid_client")
	w.wants("the new secret", w.do(http.MethodPost, "/token", redemption("web", "x"), "Authorization", basicOf("web", secret)), http.StatusBadRequest, "invalid_grant")
}
