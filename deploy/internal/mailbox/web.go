package mailbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

//go:embed pages
var files embed.FS

// The policies of content: ours, and that of the HTML of a mail, which runs nothing and loads nothing. Its links open in a tab
// of their own.
const (
	ownPolicy  = "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)

// Handler serves the list at /, mails below /messages/ and GET /messages.json?to=ADDRESS (newest first). It answers only
// requests for a loopback host name, so that no page elsewhere can have its name point here and read the mail.
func (b *Box) Handler() http.Handler {
	tpl := template.Must(template.New("").Funcs(template.FuncMap{"linked": linked}).ParseFS(files, "pages/*.html"))
	page := func(w http.ResponseWriter, name string, data any) {
		var buf bytes.Buffer
		if err := tpl.ExecuteTemplate(&buf, name, data); err != nil {
			http.Error(w, "the page cannot be drawn: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = buf.WriteTo(w) // a reader who has left
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		page(w, "list.html", map[string]any{"To": to, "Mails": b.Mails(to)})
	})
	mux.HandleFunc("GET /messages.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(b.Mails(r.URL.Query().Get("to")))
	})
	mux.HandleFunc("GET /messages/{id}", b.one(func(w http.ResponseWriter, m Mail) { page(w, "mail.html", m) }))
	mux.HandleFunc("GET /messages/{id}/html", b.one(func(w http.ResponseWriter, m Mail) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", mailPolicy)
		_, _ = w.Write(inNewTab(m.HTML))
	}))
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "pages/style.css")
	})
	return guard(mux)
}

func (b *Box) one(show func(http.ResponseWriter, Mail)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, ok := b.Mail(r.PathValue("id"))
		if !ok {
			http.Error(w, "There is no such mail here, or it went to make room for newer ones.", http.StatusNotFound)
			return
		}
		show(w, m)
	}
}

func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", ownPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		host := (&url.URL{Host: r.Host}).Hostname()
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "This mailbox answers at localhost only.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// linked escapes a plain text and makes its links links.
func linked(text string) template.HTML {
	var out strings.Builder
	at := 0
	for _, f := range textLinks(text) {
		link := template.HTMLEscapeString(text[f[0]:f[1]])
		out.WriteString(template.HTMLEscapeString(text[at:f[0]]) + `<a href="` + link + `">` + link + `</a>`)
		at = f[1]
	}
	return template.HTML(out.String() + template.HTMLEscapeString(text[at:])) //nolint:gosec // every part was escaped above
}

// inNewTab makes the links of a mail open in a tab of their own: inside the frame they would lead nowhere.
func inNewTab(doc string) []byte {
	n, err := html.Parse(strings.NewReader(doc))
	if err != nil {
		return nil // a strings.Reader never fails
	}
	for head := range n.Descendants() {
		if head.DataAtom == atom.Head {
			base := &html.Node{Type: html.ElementNode, Data: "base", DataAtom: atom.Base, Attr: []html.Attribute{{Key: "target", Val: "_blank"}}}
			head.InsertBefore(base, head.FirstChild)
			break
		}
	}
	var out bytes.Buffer
	if err := html.Render(&out, n); err != nil {
		return nil // nor does a bytes.Buffer
	}
	return slices.Clip(out.Bytes())
}
