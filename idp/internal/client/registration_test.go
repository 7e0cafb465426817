package client

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ellis.example/idp/internal/fault"
)

// portal is a registration that nothing is wrong with.
func portal(change ...func(*Client)) Client {
	c := Client{
		ID: "portal", Name: "Case portal", RedirectURIs: []string{"https://portal.example/cb"}, GrantTypes: []string{GrantCode, GrantRefresh},
		Scope: "openid offline_access cases:read", APIs: []string{"cases"},
	}
	for _, f := range change {
		f(&c)
	}
	return c.WithDefaults()
}

var known = Known{APIs: []string{"cases"}, Scopes: map[string]string{"cases:read": "cases", "mail:read": "mail"}}

// fields lists what is at fault, each once.
func fields(t *testing.T, err error) (out []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		t.Fatalf("not a list: %v", err)
	}
	for _, e := range joined.Unwrap() {
		f := fault.Of(e)
		if f.Kind != fault.Invalid || f.Message == "" || !strings.HasPrefix(f.Message, f.Field+": ") {
			t.Errorf("a problem that does not say what to change: %+v", f)
		}
		if !slices.Contains(out, f.Field) {
			out = append(out, f.Field)
		}
	}
	slices.Sort(out)
	return out
}

func TestWithDefaults_AreThoseOfTheStandards(t *testing.T) {
	t.Parallel()
	c := Client{Scope: " openid \t email "}.WithDefaults()
	if c.ApplicationType != Web || c.TokenEndpointAuth != AuthBasic || c.SubjectType != Pairwise || c.IDTokenAlg != "RS256" || !slices.Equal(c.GrantTypes, []string{GrantCode}) ||
		!slices.Equal(c.ResponseTypes, []string{"code"}) || !slices.Equal(c.ResponseModes, []string{"query", "form_post"}) || c.Scope != "openid email" {
		t.Errorf("got %+v", c)
	}
	m := Client{GrantTypes: []string{GrantClientCredentials}}.WithDefaults()
	if m.ResponseTypes != nil || m.ResponseModes != nil {
		t.Errorf("a machine answers at the authorization endpoint: %+v", m)
	}
}

func TestValidate_NamesEveryFieldAtFault(t *testing.T) {
	t.Parallel()
	age := -1
	for name, c := range map[string]struct {
		change func(*Client)
		want   []string
	}{
		"nothing": {func(*Client) {}, nil},
		"a machine": {func(c *Client) {
			c.GrantTypes, c.RedirectURIs, c.Scope = []string{GrantClientCredentials}, nil, "cases:read"
		}, nil},
		"a native app": {func(c *Client) {
			c.ApplicationType, c.TokenEndpointAuth, c.RedirectURIs = Native, AuthNone, []string{"com.example.app:/cb"}
		}, nil},
		"an empty id":             {func(c *Client) { c.ID = "" }, []string{"client_id"}},
		"a long id":               {func(c *Client) { c.ID = strings.Repeat("a", 129) }, []string{"client_id"}},
		"an id with a space":      {func(c *Client) { c.ID = "a b" }, []string{"client_id"}},
		"an id with a colon":      {func(c *Client) { c.ID = "a:b" }, []string{"client_id"}},
		"an id like an account's": {func(c *Client) { c.ID = "acc_00000000000000000000000000" }, []string{"client_id"}},
		"an id like a subject's":  {func(c *Client) { c.ID = strings.Repeat("a", 43) }, []string{"client_id"}},
		"no name":                 {func(c *Client) { c.Name = "" }, []string{"client_name"}},
		"a script URL":            {func(c *Client) { c.URI = "javascript:alert(1)" }, []string{"client_uri"}},
		"an unknown type":         {func(c *Client) { c.ApplicationType = "tv" }, []string{"application_type"}},
		"an implicit grant":       {func(c *Client) { c.GrantTypes = append(c.GrantTypes, "implicit") }, []string{"grant_types"}},
		"a password grant":        {func(c *Client) { c.GrantTypes = append(c.GrantTypes, "password") }, []string{"grant_types"}},
		"a token in the front":    {func(c *Client) { c.ResponseTypes = []string{"code", "code id_token"} }, []string{"response_types"}},
		"no response type":        {func(c *Client) { c.ResponseTypes = []string{} }, nil},
		"refresh without code":    {func(c *Client) { c.GrantTypes, c.RedirectURIs = []string{GrantRefresh}, nil }, []string{"grant_types"}},
		"a fragment":              {func(c *Client) { c.ResponseModes = []string{"fragment"} }, []string{"response_modes"}},
		"a machine that is public": {func(c *Client) {
			c.TokenEndpointAuth, c.GrantTypes = AuthNone, append(c.GrantTypes, GrantClientCredentials)
		}, []string{"grant_types"}},
		"no redirect":                    {func(c *Client) { c.RedirectURIs = nil }, []string{"redirect_uris"}},
		"a redirect of a machine":        {func(c *Client) { c.GrantTypes, c.Scope = []string{GrantClientCredentials}, "" }, []string{"redirect_uris"}},
		"a bad redirect":                 {func(c *Client) { c.RedirectURIs = append(c.RedirectURIs, "http://portal.example/cb") }, []string{"redirect_uris"}},
		"a bad redirect after logout":    {func(c *Client) { c.PostLogoutRedirectURIs = []string{"https://portal.example/#"} }, []string{"post_logout_redirect_uris"}},
		"an app's redirect on the web":   {func(c *Client) { c.RedirectURIs = []string{"com.example.app:/cb"} }, []string{"redirect_uris"}},
		"an unknown authentication":      {func(c *Client) { c.TokenEndpointAuth = "client_secret_jwt" }, []string{"token_endpoint_auth_method"}},
		"keys without their use":         {func(c *Client) { c.JWKS = KeySet(`{"keys":[]}`) }, []string{"jwks"}},
		"a key algorithm without keys":   {func(c *Client) { c.TokenEndpointAuthAlg = "ES256" }, []string{"token_endpoint_auth_signing_alg"}},
		"keys that are missing":          {func(c *Client) { c.TokenEndpointAuth = AuthPrivateKey }, []string{"jwks"}},
		"an unknown API":                 {func(c *Client) { c.APIs = append(c.APIs, "other") }, []string{"apis"}},
		"an unknown scope":               {func(c *Client) { c.Scope = "openid cases:write" }, []string{"scope"}},
		"a wildcard scope":               {func(c *Client) { c.Scope = "openid cases:*" }, []string{"scope"}},
		"a scope of an API that is none": {func(c *Client) { c.Scope = "openid mail:read" }, []string{"scope"}},
		"offline without refresh":        {func(c *Client) { c.GrantTypes = []string{GrantCode} }, []string{"scope"}},
		"an unsigned ID token":           {func(c *Client) { c.IDTokenAlg = "none" }, []string{"id_token_signed_response_alg"}},
		"an ID token with HMAC":          {func(c *Client) { c.IDTokenAlg = "HS256" }, []string{"id_token_signed_response_alg"}},
		"an unknown subject type":        {func(c *Client) { c.SubjectType = "none" }, []string{"subject_type"}},
		"a negative age":                 {func(c *Client) { c.DefaultMaxAge = &age }, []string{"default_max_age"}},
		"51 redirects":                   {func(c *Client) { c.RedirectURIs = slices.Repeat(c.RedirectURIs, 51) }, []string{"redirect_uris"}},
		"several at once":                {func(c *Client) { c.ID, c.SubjectType, c.Name = "", "x", "" }, []string{"client_id", "client_name", "subject_type"}},
	} {
		if got := fields(t, portal(c.change).Validate(known)); !slices.Equal(got, c.want) {
			t.Errorf("%s: at fault %v, want %v", name, got, c.want)
		}
	}
}

func TestAttack_G10_ALineBreakInARegistrationIsRefused(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*Client, string){
		"client_name":                     func(c *Client, s string) { c.Name += s },
		"client_uri":                      func(c *Client, s string) { c.URI = "https://portal.example/" + s },
		"redirect_uris":                   func(c *Client, s string) { c.RedirectURIs[0] += s },
		"post_logout_redirect_uris":       func(c *Client, s string) { c.PostLogoutRedirectURIs = []string{"https://portal.example/" + s} },
		"default_acr_values":              func(c *Client, s string) { c.DefaultACRValues = []string{"urn:" + s} },
		"apis":                            func(c *Client, s string) { c.APIs[0] += s },
		"token_endpoint_auth_signing_alg": func(c *Client, s string) { c.TokenEndpointAuthAlg = "ES256" + s },
		"client_id":                       func(c *Client, s string) { c.ID += s },
	} {
		for _, s := range []string{"\r\n", "\n", "\r", "\x00", "\x1b[31m", "\u0085"} {
			c := portal()
			change(&c, s+"X-Evil: 1")
			if got := fields(t, c.Validate(known)); !slices.Contains(got, field) {
				t.Errorf("%s with %q: at fault %v", field, s, got)
			}
		}
	}
}

func TestAttack_E20_LookalikeNamesAreRefused(t *testing.T) {
	t.Parallel()
	others := Known{Others: []Client{{ID: "bank", Name: "Bank of Ellis"}, {ID: "mine", Name: "Mine"}}}
	for name, ok := range map[string]bool{
		"Bank of Ellis":           true, // the same words: a person sees two of one name, and no look-alike
		"Bank 0f Ellis":           false,
		"BANK OF ELLIS":           false,
		"Bank of Eliis":           false,
		"Bank of E11is":           false,
		"Bаnk of Ellis":           false, // Cyrillic а
		"Bank\u200b of Ellis":     false,
		"Bank\u00a0of Ellis":      false,
		"Bank of Ellis ":          false,
		"Bank-of-Ellis":           false,
		"Ｂａｎｋ ｏｆ Ｅｌｌｉｓ":           false, // full width
		"Bánk of Ellis":           false,
		"аррӏе":                   false, // all Cyrillic, reads apple
		"ρορ":                     false, // all Greek
		"Пример":                  true,
		"東京サービス":                  true,
		"Ellis\u202egnp.exe":      false,
		"A\nB":                    false,
		strings.Repeat("a", 81):   false,
		strings.Repeat("b c ", 5): false,
		"Servicio de Peñas":       true,
		"Café 24":                 true,
		"Mine":                    true,
	} {
		c := portal(func(c *Client) { c.Name = name })
		k := known
		k.Others = others.Others
		if got := fields(t, c.Validate(k)); (len(got) == 0) != ok {
			t.Errorf("%q: at fault %v, want taken %v", name, got, ok)
		}
	}
}

func jwk(key any, id string) jose.JSONWebKey { return jose.JSONWebKey{Key: key, KeyID: id} }

func keySet(t *testing.T, keys ...jose.JSONWebKey) KeySet {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAttack_C13_OnlySoundPublicKeysAreRegistered(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err384 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsa2048, errRSA := rsa.GenerateKey(rand.Reader, 2048)
	edPublic, edPrivate, errEd := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err, err384, errRSA, errEd); err != nil {
		t.Fatal(err)
	}
	weak := `{"keys":[{"kty":"RSA","kid":"w","n":"` + strings.Repeat("w", 171) + `","e":"AQAB"}]}`
	const x, y = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" // RFC 7515 §A.3
	ec := func(x, y string) KeySet {
		return KeySet(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"` + x + `","y":"` + y + `"}]}`)
	}
	zero := strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		set KeySet
		ok  bool
	}{
		"EC, RSA, Ed25519":       {keySet(t, jwk(&p256.PublicKey, "1"), jwk(&rsa2048.PublicKey, "2"), jwk(edPublic, "3")), true},
		"one without kid":        {keySet(t, jwk(&p256.PublicKey, "")), true},
		"a point on the curve":   {ec(x, y), true},
		"a point beside it":      {ec(y, x), false},
		"all zero":               {ec(zero, zero), false},
		"no y":                   {ec(x, ""), false},
		"a short coordinate":     {ec(x[:40], y), false},
		"two without kid":        {keySet(t, jwk(&p256.PublicKey, ""), jwk(edPublic, "")), false},
		"one kid twice":          {keySet(t, jwk(&p256.PublicKey, "1"), jwk(edPublic, "1")), false},
		"a long kid":             {keySet(t, jwk(&p256.PublicKey, strings.Repeat("k", 129))), false},
		"a private EC key":       {keySet(t, jwk(p256, "1")), false},
		"a private RSA key":      {keySet(t, jwk(rsa2048, "1")), false},
		"a private Ed25519 key":  {keySet(t, jwk(edPrivate, "1")), false},
		"a symmetric key":        {keySet(t, jwk([]byte("0123456789abcdef0123456789abcdef"), "1")), false},
		"P-384":                  {keySet(t, jwk(&p384.PublicKey, "1")), false},
		"a weak RSA key":         {KeySet(weak), false},
		"a key for encryption":   {keySet(t, jose.JSONWebKey{Key: edPublic, KeyID: "1", Use: "enc"}), false},
		"none":                   {KeySet(`{"keys":[]}`), false},
		"21":                     {keySet(t, slices.Repeat([]jose.JSONWebKey{jwk(edPublic, "1")}, 21)...), false},
		"no JSON":                {KeySet(`keys`), false},
		"more than 32 KiB":       {KeySet(`{"keys":[],"x":"` + strings.Repeat("x", 32<<10) + `"}`), false},
		"a key of an odd type":   {KeySet(`{"keys":[{"kty":"OKP","crv":"X25519","kid":"1","x":"` + zero + `"}]}`), false},
		"a key that is a number": {KeySet(`{"keys":[1]}`), false},
	} {
		cl := portal(func(c *Client) { c.TokenEndpointAuth = AuthPrivateKey })
		cl.JWKS = c.set
		if got := fields(t, cl.Validate(known)); (len(got) == 0) != c.ok || (!c.ok && !slices.Equal(got, []string{"jwks"})) {
			t.Errorf("%s: at fault %v, want taken %v", name, got, c.ok)
		}
	}
}

func TestEntry_KeysFitTheAlgorithm(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bound := jwk(&p256.PublicKey, "bound")
	bound.Algorithm = "ES384"
	e := Entry{keys: []jose.JSONWebKey{jwk(&p256.PublicKey, "free"), bound}}
	for _, c := range []struct {
		kid, alg string
		want     int
	}{{"", "ES256", 1}, {"free", "ES256", 1}, {"bound", "ES256", 0}, {"free", "RS256", 0}, {"free", "HS256", 0}, {"free", "none", 0}, {"other", "ES256", 0}, {"free", "EdDSA", 0}} {
		if got := e.Keys(c.kid, c.alg); len(got) != c.want {
			t.Errorf("%q %s: %d keys, want %d", c.kid, c.alg, len(got), c.want)
		}
	}
}

func TestSecret_IsOurOwnAndComparedWhole(t *testing.T) {
	t.Parallel()
	text, hash := NewSecret()
	c := Client{SecretHash: hash}
	if !c.SecretIs(text) {
		t.Error("the right secret is refused")
	}
	for _, bad := range []string{"", text[:len(text)-1], text + " ", strings.ToUpper(text)} {
		if c.SecretIs(bad) {
			t.Errorf("taken: %q", bad)
		}
	}
	if (&Client{}).SecretIs("") {
		t.Error("a client without a secret has one")
	}
	if again, err := HashSecret(text); err != nil || again != hash {
		t.Errorf("got %v", err)
	}
	for _, chosen := range []string{"", "password", strings.Repeat("a", 64), text[:len(text)-1] + "!"} {
		if _, err := HashSecret(chosen); !errors.Is(err, ErrSecretForm) {
			t.Errorf("%q: %v", chosen, err)
		}
	}
}

func TestHasScope_IsExact(t *testing.T) {
	t.Parallel()
	c := Client{Scope: "openid cases:* cases:read"}
	for s, want := range map[string]bool{"openid": true, "cases:read": true, "cases:admin": false, "cases": false, "": false, "cases:read ": false, "openid cases:read": false, "OPENID": false} {
		if c.HasScope(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeys(b)
		if err == nil && (len(keys) == 0 || len(keys) > maxKeys) {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			if !k.IsPublic() || !k.Valid() {
				t.Fatalf("took %+v", k)
			}
		}
	})
}
