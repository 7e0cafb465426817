package agent_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ellis.example/deploy/internal/agent"
)

const form = `<!doctype html><html lang="es"><head><title>Sign in</title></head><body>
<p>Hello  <b>there</b></p><script>document.write("no")</script>
<form method="post" action="/do?x=1"><input type="hidden" name="token" value="t1"><input name="who" value="old">
<select name="land"><option value="aa">A</option><option value="bb" selected>B</option></select>
<input type="checkbox" name="on" value="yes" checked><input type="checkbox" name="off" value="no">
<button name="act" value="deny">Deny</button><button name="act" value="allow">Allow it</button></form>
<a href="/elsewhere">Go elsewhere</a></body></html>`

func server(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "1", Path: "/"})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, form)
	})
	mux.HandleFunc("POST /do", func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Cookie("c")
		http.Redirect(w, r, "/done?"+url.Values{"got": {r.PostFormValue("token") + r.PostFormValue("who") + r.PostFormValue("land") + r.PostFormValue("on") + r.PostFormValue("off") + r.PostFormValue("act") + c.Value + r.Header.Get("Origin")[:7]}}.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Query().Get("got")) })
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://app.invalid/callback?code=c", http.StatusFound)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestSubmit_SendsWhatABrowserWould(t *testing.T) {
	t.Parallel()
	a := agent.New()
	if err := a.Get(t.Context(), server(t).URL+"/"); err != nil {
		t.Fatal(err)
	}
	if a.Page.Title != "Sign in" || a.Page.Lang != "es" || !strings.Contains(a.Page.Text, "Hello there") || strings.Contains(a.Page.Text, "document") {
		t.Fatalf("read %+v", a.Page)
	}
	if err := a.Submit(t.Context(), "Allow", map[string]string{"nobody": "x"}); !errors.Is(err, agent.ErrNoForm) {
		t.Fatal("submitted a form without that field")
	}
	if err := a.Submit(t.Context(), "Allow", map[string]string{"who": "ann"}); err != nil {
		t.Fatal(err)
	}
	if a.Page.Body != "t1annbbyesallow1http://"[:len(a.Page.Body)] || a.Page.URL.Path != "/done" {
		t.Fatalf("server got %q at %s", a.Page.Body, a.Page.URL)
	}
}

func TestFollow_StopsAtARelyingPartyThatDoesNotExist(t *testing.T) {
	t.Parallel()
	a := agent.New()
	a.StopAt = func(u *url.URL) bool { return u.Host == "app.invalid" }
	if err := a.Get(t.Context(), server(t).URL+"/"); err != nil {
		t.Fatal(err)
	}
	if err := a.Follow(t.Context(), "elsewhere"); err != nil {
		t.Fatal(err)
	}
	if a.Page.Location != "http://app.invalid/callback?code=c" {
		t.Fatalf("stopped at %q", a.Page.Location)
	}
}
