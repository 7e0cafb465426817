package seed

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

// The clients of the registry.
const (
	App      = "test-app"
	Machine  = "test-machine"
	Redirect = "http://localhost:9/callback" // nobody is there: an authorization ends at the redirect
	scopes   = "openid offline_access cases:read"
)

//go:embed registry.yaml.tmpl
var registry string

// Clients are the secrets of clients, by client_id.
type Clients map[string]string

// RegisterApp makes the schema of the provider and registers the case API, the app and the machine. It keeps the secret of
// the case API for its process.
func RegisterApp(ctx context.Context, c launch.Config) (Clients, error) {
	if err := Ask(ctx, c, nil, c.IDP, "migrate", "up"); err != nil {
		return nil, err
	}
	secrets, err := Register(ctx, c, registry, map[string]string{
		"CaseAPI": c.CaseAPI(), "Redirect": Redirect, "Scopes": scopes, "App": App, "Machine": Machine, "API": API, "APIClient": launch.CaseAPIClient,
	})
	if err != nil {
		return nil, err
	}
	return secrets, KeepSecret(c, launch.CaseAPIClient, secrets[launch.CaseAPIClient])
}

// Basic is the Authorization header of a client (RFC 6749 §2.3.1).
func (c Clients) Basic(client string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+c[client]))
}

// Somebody returns person number n, with a password of their own.
func Somebody(n int) Account {
	return Account{
		Email: fmt.Sprintf("person-%02d@example.com", n), Password: "quiet-" + strings.ToLower(rand.Text()[:12]) + "-harbor",
		Given: "Test", Family: "Person", Born: "1990-01-02", Country: "MX", Locale: "en",
	}
}

// Attempt is one authorization request of the app.
type Attempt struct{ verifier, state string }

// NewAttempt returns one that nobody else can have made.
func NewAttempt() Attempt { return Attempt{verifier: rand.Text() + rand.Text(), state: rand.Text()} }

// Target is the request as a path with a query; prompt may be empty.
func (a Attempt) Target(prompt string) string {
	sum := sha256.Sum256([]byte(a.verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {App}, "redirect_uri": {Redirect}, "scope": {scopes}, "state": {a.state}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	if prompt != "" {
		q.Set("prompt", prompt)
	}
	return "/authorize?" + q.Encode()
}

// Response reads an authorization response: a code, or the error that the provider answered. err is non-nil where the location
// is no response to this request.
func (a Attempt) Response(location string) (code, refused string, err error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", "", err
	}
	q := u.Query()
	code, refused = q.Get("code"), q.Get("error")
	if !strings.HasPrefix(location, Redirect+"?") || q.Get("state") != a.state || (code == "") == (refused == "") {
		return "", "", fmt.Errorf("no authorization response: %.300q", location)
	}
	return code, refused, nil
}

// Code reads an authorization response that has to hold a code.
func (a Attempt) Code(location string) (string, error) {
	code, refused, err := a.Response(location)
	if refused != "" {
		err = fmt.Errorf("the authorization response is the error %q", refused)
	}
	return code, err
}

// Redeem is the token request that exchanges the code of the attempt.
func (a Attempt) Redeem(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {Redirect}, "code_verifier": {a.verifier}}
}

// Renew is the token request that exchanges a refresh token.
func Renew(refresh string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
}

// ForMachine is the token request of the machine.
func ForMachine() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"cases:stats"}}
}

// Tokens is an answer of the token endpoint.
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

var errTokens = errors.New("the token answer lacks a token")

// ReadTokens reads an answer. person says whether it is about one: then it has to hold all three tokens.
func ReadTokens(body []byte, person bool) (t Tokens, err error) {
	if err := json.Unmarshal(body, &t); err != nil {
		return t, err
	}
	if t.Access == "" || (person && (t.Refresh == "" || t.ID == "")) {
		return t, errTokens
	}
	return t, nil
}

// SignIn takes a person through password and consent to tokens, as a browser would, and returns the cookies that the browser
// has then.
func (c Clients) SignIn(ctx context.Context, issuer string, who Account) (t Tokens, cookies []*http.Cookie, err error) {
	home, err := url.Parse(issuer)
	if err != nil {
		return t, nil, err
	}
	browser, try := agent.New(), NewAttempt()
	browser.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), Redirect) }
	if err := browser.Get(ctx, issuer+try.Target("")); err != nil {
		return t, nil, err
	}
	if err := browser.Submit(ctx, "", map[string]string{"identifier": who.Email, "password": who.Password}); err != nil {
		return t, nil, err
	}
	if browser.Page.Location == "" {
		if err := browser.Submit(ctx, "allow", nil); err != nil {
			return t, nil, err
		}
	}
	code, err := try.Code(browser.Page.Location)
	if err != nil {
		return t, nil, fmt.Errorf("%s signs in: %w: %s", who.Email, err, browser.Page.Text)
	}
	app := agent.New()
	app.Header.Set("Authorization", c.Basic(App))
	if err := app.Post(ctx, issuer+"/token", try.Redeem(code)); err != nil {
		return t, nil, err
	}
	t, err = ReadTokens([]byte(app.Page.Body), true)
	if err != nil {
		return t, nil, fmt.Errorf("%s signs in: %w: %d %s", who.Email, err, app.Page.Status, app.Page.Body)
	}
	return t, browser.Cookies(home), nil
}
