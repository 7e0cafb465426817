package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// app is a relying party that somebody else wrote, and a website that may be hostile: it keeps what browsers bring, and
// serves whatever page a test wants to be on.
type app struct {
	server           *httptest.Server
	id, secret, name string

	mu    sync.Mutex
	pages map[string]string // path → HTML
	got   []arrival
}

// arrival is a request that came to the app.
type arrival struct {
	Method, Path string
	Values       url.Values // query and form
	Header       http.Header
}

const (
	appID   = "e2e-app"
	appName = "Riverbend Housing"
)

// startApp registers the app as an operator would, and serves it on both names of this machine: localhost is the issuer's
// own site, 127.0.0.1 is another one.
func startApp() (*app, error) {
	a := &app{id: appID, name: appName, pages: map[string]string{}}
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	out, err := demo.run(context.Background(), "idp", "client", "create", "--client-id", appID, "--client-name", appName,
		"--redirect-uris", a.callback(), "--redirect-uris", a.other()+"/callback", "--post-logout-redirect-uris", a.own()+"/bye", "--apis", "cases",
		"--grant-types", "authorization_code", "--grant-types", "refresh_token", "--scope", "openid profile email offline_access cases:read",
		"--token-endpoint-auth-method", "client_secret_basic", "--json")
	if err != nil {
		return nil, err
	}
	var made struct {
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &made); err != nil || made.Secret == "" {
		return nil, fmt.Errorf("the client has no secret (%w): %s", err, out)
	}
	a.secret = made.Secret
	secrets.add("client secret", made.Secret)
	return a, a.known()
}

// known waits until the running provider has seen the client that the command made.
func (a *app) known() error {
	for range 100 {
		resp, err := direct.Get(a.authorize(nil))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusSeeOther {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the provider does not know %s", a.id)
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, arrival{r.Method, r.URL.Path, r.Form, r.Header.Clone()})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if page, ok := a.pages[r.URL.Path]; ok {
		fmt.Fprint(w, page)
		return
	}
	fmt.Fprintf(w, "<!doctype html><html lang=en><title>app</title><h1>You are at the app</h1>")
}

// own is the app's origin on the issuer's site, other that on another site.
func (a *app) own() string   { return strings.Replace(a.server.URL, "127.0.0.1", "localhost", 1) }
func (a *app) other() string { return a.server.URL }

func (a *app) callback() string { return a.own() + "/callback" }

// page makes the app serve a page at a path of its own, and returns its address on the other site.
func (a *app) page(t *testing.T, body string) string {
	t.Helper()
	path := "/" + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + fmt.Sprint(len(body))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pages[path] = "<!doctype html><html lang=en><title>hostile</title><h1>Win a prize</h1>" + body
	return a.other() + path
}

// arrived returns the last request to the app that carried a value.
func (a *app) arrived(t *testing.T, name, value string) arrival {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got := a.find(name, value); got != nil {
			return *got
		}
	}
	t.Fatalf("nothing with %s=%s came to the app", name, value)
	return arrival{}
}

func (a *app) find(name, value string) *arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.got) - 1; i >= 0; i-- {
		if a.got[i].Values.Get(name) == value {
			return &a.got[i]
		}
	}
	return nil
}

const verifier = "a-verifier-that-every-request-of-this-test-may-use-because-it-is-a-test"

// authorize is the address of an authorization request, with what the test wants to be different; "-" leaves one out.
func (a *app) authorize(change map[string]string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {a.id}, "redirect_uri": {a.callback()}, "response_type": {"code"}, "scope": {"openid profile email offline_access cases:read"},
		"state": {"state"}, "nonce": {"nonce"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for k, v := range change {
		if v == "-" {
			q.Del(k)
			continue
		}
		q.Set(k, v)
	}
	return demo.Issuer + "/authorize?" + q.Encode()
}
