package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"path"
	"strings"
	"sync"

	"ellis.example/idp/internal/i18n"
)

// Brand is what a deployment calls itself.
type Brand struct {
	Name    string // shown in the header; empty: Ellis
	Contact string // e-mail address or URL for help; may be empty
}

// Renderer writes pages and mails. It is safe for concurrent use.
type Renderer struct {
	brand Brand
	pages map[i18n.Lang]map[string]func() (*template.Template, error)
	mails map[i18n.Lang]*template.Template
}

//go:embed templates
var templates embed.FS

// New parses what pages have in common, and mails. Each page follows when somebody first looks at it in a language: most of a
// provider's processes show few of them, and all of them together are the better part of a start.
func New(brand Brand) (*Renderer, error) {
	if brand.Name == "" {
		brand.Name = "Ellis"
	}
	i18n.Load()
	r := &Renderer{brand: brand, pages: map[i18n.Lang]map[string]func() (*template.Template, error){}, mails: map[i18n.Lang]*template.Template{}}
	for _, lang := range i18n.Languages() {
		if err := r.parse(lang); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// parse reads layout and parts; each page goes into a copy of its own.
func (r *Renderer) parse(lang i18n.Lang) error {
	common, err := template.New("layout.html").Funcs(r.funcs(lang)).Option("missingkey=error").
		ParseFS(templates, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	mails, err := common.Clone() // nothing that was ever executed can be cloned, and common has to be
	if err == nil {
		r.mails[lang], err = mails.New("mail.html").ParseFS(templates, "templates/mail.html")
	}
	if err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	names, err := templates.ReadDir("templates/pages")
	if err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	set := map[string]func() (*template.Template, error){}
	for _, f := range names {
		set[strings.TrimSuffix(f.Name(), ".html")] = sync.OnceValues(func() (*template.Template, error) {
			t, err := common.Clone()
			if err == nil {
				t, err = t.ParseFS(templates, path.Join("templates/pages", f.Name()))
			}
			return t, err
		})
	}
	r.pages[lang] = set
	return nil
}

// view is what the layout sees. Pages see their own struct.
type view struct {
	Base
	Page  Page
	Frame string
}

// frames says how wide a page is: "account" has the side menu, "text" is for reading, "" is one narrow sheet.
var frames = map[string]string{
	"account_home": "account", "profile": "account", "change_password": "account", "factors": "account",
	"remove_factor": "account", "recovery_codes_renew": "account", "sessions": "account",
	"connected_apps": "account", "activity": "account",
	"help": "text", "privacy": "text", "not_government": "text",
}

// Render writes the page in full, or nothing: an error comes before the first byte is written.
func (r *Renderer) Render(w io.Writer, lang i18n.Lang, page Page) error {
	set, ok := r.pages[lang]
	if !ok {
		set = r.pages[i18n.English]
	}
	parsed, ok := set[page.Template()]
	if !ok {
		return fmt.Errorf("ui: no template %q", page.Template())
	}
	t, err := parsed()
	if err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, "layout.html", view{page.base(), page, frames[page.Template()]}); err != nil {
		return fmt.Errorf("ui: %w", err)
	}
	_, err = w.Write(buf.Bytes())
	return err
}
