package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"
	zclient "github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"ellis.example/idp/internal/client"
)

// rpScopes are what an ordinary app asks for.
var rpScopes = []string{"openid", "profile", "email", "offline_access"}

// signedAs registers an app for each algorithm that ID tokens can be signed with.
func (w *world) signedAs(algs ...string) {
	w.Helper()
	doc := "clients:\n"
	for i, alg := range algs {
		doc += `  - {client_id: app-` + strings.ToLower(alg) + `, client_name: ` + []string{"Amber", "Birch", "Cedar", "Dune"}[i] + ` Reader, redirect_uris: ["https://app-` + strings.ToLower(alg) + `.example/cb"], post_logout_redirect_uris: ["https://app.example/bye"],
     grant_types: [authorization_code, refresh_token], token_endpoint_auth_method: none, scope: openid profile email offline_access, id_token_signed_response_alg: ` + alg + "}\n"
	}
	w.register(doc)
}

// consented walks a front-channel address as Ana who allows everything, and returns the answer.
func (b *browser) consented(to, redirect string) (code string) {
	b.w.Helper()
	p := b.get(to).signIn(ana)
	if p.out == "" {
		p = p.submit("decision", "allow")
	}
	a := p.answer(redirect)
	if a.Get("iss") != b.w.issuer || a.Get("state") != "from-the-app" {
		b.w.Fatal(a)
	}
	return a.Get("code")
}

func TestRelyingParty_CoreosAndXOAuth2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signedAs("RS256", "ES256", "PS256", "EdDSA")
	b := w.browser()
	ctx := coreos.ClientContext(t.Context(), w.http)
	provider, err := coreos.NewProvider(ctx, w.issuer)
	w.must(err)
	for id, redirect := range map[string]string{
		"web": appURI, "post": redirects["post"], "app-rs256": "https://app-rs256.example/cb", "app-es256": "https://app-es256.example/cb", "app-ps256": "https://app-ps256.example/cb", "app-eddsa": "https://app-eddsa.example/cb",
	} {
		conf := oauth2.Config{ClientID: id, ClientSecret: w.secrets[id], Endpoint: provider.Endpoint(), RedirectURL: redirect, Scopes: rpScopes}
		pkce := oauth2.GenerateVerifier()
		code := b.consented(conf.AuthCodeURL("from-the-app", coreos.Nonce("n-1"), oauth2.S256ChallengeOption(pkce)), redirect)
		token, err := conf.Exchange(ctx, code, oauth2.VerifierOption(pkce))
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		raw, _ := token.Extra("id_token").(string)
		identity, err := provider.VerifierContext(ctx, &coreos.Config{ClientID: id, Now: w.clock.Now}).Verify(ctx, raw)
		if err != nil || identity.Nonce != "n-1" || identity.VerifyAccessToken(token.AccessToken) != nil {
			t.Errorf("%s: %+v, %v", id, identity, err)
			continue
		}
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil || info.Subject != identity.Subject || info.Email != ana || !info.EmailVerified {
			t.Errorf("%s: %+v, %v", id, info, err)
		}
		first := token.RefreshToken
		token.Expiry = time.Now().Add(-time.Minute)
		again, err := conf.TokenSource(ctx, token).Token()
		if err != nil || again.AccessToken == token.AccessToken || again.RefreshToken == first {
			t.Errorf("%s: refresh: %v, %v", id, again, err)
		}
	}
	_, err = provider.Verifier(&coreos.Config{ClientID: "web", Now: w.clock.Now}).Verify(ctx, w.tokens(ana, "post").str("id_token"))
	if err == nil {
		t.Error("the library takes another client's ID token: this test shows nothing")
	}
}

func TestRelyingParty_CoreosSeesErrorsAsTheStandardsHaveThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := coreos.ClientContext(t.Context(), w.http)
	provider, err := coreos.NewProvider(ctx, w.issuer)
	w.must(err)
	conf := oauth2.Config{ClientID: "web", ClientSecret: w.secrets["web"], Endpoint: provider.Endpoint(), RedirectURL: appURI, Scopes: rpScopes}
	conf.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	_, err = conf.Exchange(ctx, "eac_nothing", oauth2.VerifierOption(oauth2.GenerateVerifier()))
	var e *oauth2.RetrieveError
	if !errors.As(err, &e) || e.ErrorCode != "invalid_grant" || e.ErrorDescription == "" {
		t.Errorf("got %v", err)
	}
	conf.ClientSecret = "wrong"
	if _, err = conf.Exchange(ctx, "eac_nothing"); !errors.As(err, &e) || e.ErrorCode != "invalid_client" || e.Response.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %v", err)
	}
}

// onTime moves the world's clock to the real one, for a library that has no other.
func (w *world) onTime() { w.clock.Advance(time.Since(w.clock.Now())) }

func TestRelyingParty_Zitadel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signedAs("RS256", "ES256", "PS256", "EdDSA")
	w.change("post", func(c *client.Client) { c.PostLogoutRedirectURIs = []string{byeURI} })
	b := w.browser()
	nonce := func(context.Context) string { return "n-2" }
	for id, redirect := range map[string]string{"post": redirects["post"], "app-es256": "https://app-es256.example/cb", "app-eddsa": "https://app-eddsa.example/cb"} {
		w.onTime()
		ctx := t.Context()
		party, err := rp.NewRelyingPartyOIDC(ctx, w.issuer, id, w.secrets[id], redirect, rpScopes, rp.WithHTTPClient(w.http), rp.WithSigningAlgsFromDiscovery(), rp.WithVerifierOpts(rp.WithNonce(nonce)))
		w.must(err)
		front := rp.AuthURL("from-the-app", party, rp.WithCodeChallenge(challenge(verifier)), rp.AuthURLOpt(rp.WithURLParam("nonce", "n-2")))
		code := b.consented(front, redirect)
		tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](ctx, code, party, rp.WithCodeVerifier(verifier))
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if c := tokens.IDTokenClaims; c.Issuer != w.issuer || !slices.Contains(c.Audience, id) || c.AuthTime == 0 || c.Subject == "" {
			t.Errorf("%s: %+v", id, c)
		}
		info, err := rp.Userinfo[*zitadel.UserInfo](ctx, tokens.AccessToken, "Bearer", tokens.IDTokenClaims.Subject, party)
		if err != nil || info.Email != ana || info.GivenName != "Ana" {
			t.Errorf("%s: %+v, %v", id, info, err)
		}
		plain, err := rp.NewRelyingPartyOIDC(ctx, w.issuer, id, w.secrets[id], redirect, rpScopes, rp.WithHTTPClient(w.http), rp.WithSigningAlgsFromDiscovery())
		w.must(err)
		fresh, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, plain, tokens.RefreshToken, "", "")
		if err != nil || fresh.AccessToken == tokens.AccessToken || fresh.IDTokenClaims.Subject != tokens.IDTokenClaims.Subject {
			t.Errorf("%s: refresh: %v", id, err)
			continue
		}
		w.must(rp.RevokeToken(ctx, party, fresh.RefreshToken, "refresh_token"))
		if _, err := rp.Userinfo[*zitadel.UserInfo](ctx, fresh.AccessToken, "Bearer", fresh.IDTokenClaims.Subject, party); err == nil {
			t.Errorf("%s: revoked, and UserInfo answers", id)
		}
		to, err := rp.EndSession(ctx, party, tokens.IDToken, byeURI, "s", "", nil)
		if err != nil || to == nil {
			t.Errorf("%s: end of session: %v, %v", id, to, err)
			continue
		}
		if p := b.get(to.String()).confirm(); p.out != byeURI+"?state=s" || b.isIn() {
			t.Errorf("%s: end of session leads to %q, %d", id, p.out, p.status)
		}
	}
}

func TestRelyingParty_ZitadelWithAPrivateKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.onTime()
	der, err := x509.MarshalPKCS8PrivateKey(clientKeys()["PS256"])
	w.must(err)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	scopes := []string{"openid", "offline_access"}
	party, err := rp.NewRelyingPartyOIDC(t.Context(), w.issuer, "key", "", redirects["key"], scopes, rp.WithHTTPClient(w.http), rp.WithJWTProfile(rp.SignerFromKeyAndKeyID(key, "PS256")))
	w.must(err)
	code := w.browser().consented(rp.AuthURL("from-the-app", party, rp.WithCodeChallenge(challenge(verifier))), redirects["key"])
	proof := func() string {
		s, err := zclient.SignedJWTProfileAssertion("key", []string{w.issuer}, time.Hour, party.Signer())
		w.must(err)
		return s
	}
	tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](t.Context(), code, party, rp.WithCodeVerifier(verifier), rp.WithClientAssertionJWT(proof()))
	if err != nil {
		t.Fatal(err)
	}
	if tokens.IDTokenClaims.Subject != w.people[ana] {
		t.Error("a client of subject type public is told", tokens.IDTokenClaims.Subject)
	}
	fresh, err := rp.RefreshTokens[*zitadel.IDTokenClaims](t.Context(), party, tokens.RefreshToken, proof(), zitadel.ClientAssertionTypeJWTAssertion)
	if err != nil || fresh.RefreshToken != tokens.RefreshToken {
		t.Error("refresh:", err)
	}
}
