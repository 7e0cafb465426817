package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "embed"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe-core/axe.min.js
var axeScript string

// service is one of the two that show pages: what it has, to be compared with what was looked at.
type service struct {
	name      string // of its module, and before the screenshots
	templates string // folder
	words     string // folder of the catalogue
}

var (
	identity = service{"idp", "idp/internal/ui/templates/pages", "idp/internal/i18n/catalogue"}
	portal   = service{"portal", "caseservice/internal/ui/templates/pages", "caseservice/internal/i18n/catalogue"}
	// mailboxPages belong to the demo: they have neither templates of their own kind nor a catalogue.
	mailboxPages = service{name: "mailbox"}
)

// gallery is a walk through the pages of a service in one language. Each page is looked at in every way that it may be met.
type gallery struct {
	t    *testing.T
	of   service
	lang string
	text map[string]string // catalogue of the language
	v    *tab

	mu   sync.Mutex
	seen map[string]bool // templates
}

func newGallery(t *testing.T, of service, lang string) *gallery {
	t.Helper()
	g := &gallery{t: t, of: of, lang: lang, text: map[string]string{}, seen: map[string]bool{}}
	if of.words != "" {
		g.read()
	}
	g.v = chrome.with(t, true).tab()
	return g
}

// read reads the catalogue.
func (g *gallery) read() {
	g.t.Helper()
	var all map[string]any
	b, err := os.ReadFile(filepath.Join(demo.root, g.of.words, g.lang+".json"))
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	for key, text := range all { // those that count are objects
		if text, ok := text.(string); ok {
			g.text[key] = text
		}
	}
}

// speak chooses the gallery's language with the page's own button, where it is not the page's language already.
func (g *gallery) speak() {
	g.t.Helper()
	if eval[string](g.v, `document.documentElement.lang`) != g.lang {
		g.v.leave(func() { g.v.click(fmt.Sprintf(`document.querySelector('button[name=lang][value=%s]')`, g.lang)) })
	}
}

// look looks at the page that is open: it must be made from the template, and is called template or template-state.
func (g *gallery) look(template string, state ...string) {
	g.t.Helper()
	name := strings.Join(append([]string{template}, state...), "-")
	g.mu.Lock()
	g.seen[template] = true
	g.mu.Unlock()
	where := g.of.name + " " + g.lang + " " + name
	if want := g.title(template); want != nil && !want.MatchString(g.v.Heading()) {
		g.t.Fatalf("%s: at %s (%d) the heading is %q, want %s: %s", where, g.v.URL(), g.v.Status(), g.v.Heading(), want, short(g.v.Text()))
	}
	g.words(where)
	if len(state) > 0 && strings.HasPrefix(state[0], "errors") {
		g.errors(where)
	}
	g.sight(name)
}

// sight looks at what any page must do for its readers, whatever it says.
func (g *gallery) sight(name string) {
	g.t.Helper()
	where := g.of.name + " " + g.lang + " " + name
	g.axe(where)
	g.sizes(where, name)
}

var (
	titleDefine = regexp.MustCompile(`(?s)\{\{define "title"\}\}(.*?)\{\{end\}\}\s*(\{\{define|$)`)
	titleKey    = regexp.MustCompile(`t "([a-z0-9_.]+)"`)
	placeholder = regexp.MustCompile(`\\\{\\\{.*?\\\}\\\}`)
)

// title is what the heading of a template may be, or nil where it says something of the content.
func (g *gallery) title(template string) *regexp.Regexp {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(demo.root, g.of.templates, template+".html"))
	if err != nil {
		g.t.Fatal(err)
	}
	define := titleDefine.FindStringSubmatch(string(b))
	if define == nil {
		g.t.Fatalf("template %s has no title", template)
	}
	var texts []string
	for _, m := range titleKey.FindAllStringSubmatch(define[1], -1) {
		texts = append(texts, g.text[m[1]])
	}
	if strings.Contains(define[1], "problem .") || strings.Contains(define[1], "signin .") {
		for key, text := range g.text {
			if (strings.HasPrefix(key, "fault.") || strings.HasPrefix(key, "status.")) && strings.HasSuffix(key, ".title") {
				texts = append(texts, text)
			}
		}
	}
	if texts == nil {
		return nil
	}
	for i, text := range texts {
		texts[i] = placeholder.ReplaceAllString(regexp.QuoteMeta(text), ".+")
	}
	return regexp.MustCompile("^(" + strings.Join(texts, "|") + ")$")
}

// leftover is text that no reader should see: keys, failed formats and template code.
var leftover = regexp.MustCompile(`\{\{|\}\}|%!|<no value>|<nil>|0001-01-01|\b[a-z_]+\.[a-z_]+\.(title|text|button)\b`)

// words looks at what every page must have: its language, one heading, its title, the notice.
func (g *gallery) words(where string) {
	g.t.Helper()
	v := g.v
	if lang := eval[string](v, `document.documentElement.lang`); lang != g.lang {
		g.t.Errorf("%s: the page's language is %q", where, lang)
	}
	if n := eval[int](v, `document.querySelectorAll("h1").length`); n != 1 {
		g.t.Errorf("%s: %d headings of the first level", where, n)
	}
	if title := eval[string](v, `document.title.replace(/\s+/g, " ")`); !strings.Contains(title, v.Heading()) {
		g.t.Errorf("%s: the title is %q, the heading %q", where, title, v.Heading())
	}
	if !eval[bool](v, `!!document.querySelector('[role=region] a[href="/not-government"]')`) {
		g.t.Errorf("%s: it does not say that this is not a government website", where)
	}
	if m := leftover.FindString(v.Text()); m != "" {
		g.t.Errorf("%s: it shows %q", where, m)
	}
	if n := eval[int](v, `[...document.querySelectorAll("main .usa-button:not(.usa-button--outline):not(.usa-button--unstyled)")].filter(e => e.offsetParent).length`); n > 1 {
		g.t.Errorf("%s: %d buttons want to be the one clear action", where, n)
	}
}

// errors looks at a page that refused a form: the summary has the focus and says what the fields say.
func (g *gallery) errors(where string) {
	g.t.Helper()
	v := g.v
	if focus := eval[string](v, `document.activeElement && document.activeElement.id`); focus != "errors" {
		g.t.Errorf("%s: the focus is on %q, not on the summary of errors", where, focus)
	}
	bad := eval[[]string](v, `[...document.querySelectorAll("#errors a")].map(a => {
		const e = document.querySelector(a.getAttribute("href"));
		if (!e) return a.getAttribute("href") + " leads nowhere";
		const says = (e.getAttribute("aria-describedby") || (e.closest("fieldset") || e).getAttribute("aria-describedby") || "").split(" ").map(i => document.getElementById(i)).filter(Boolean).map(i => i.textContent.trim());
		return says.includes(a.textContent.trim()) ? "" : a.getAttribute("href") + " does not say: " + a.textContent;
	}).filter(Boolean)`)
	for _, b := range bad {
		g.t.Errorf("%s: %s", where, b)
	}
	if title := eval[string](v, `document.title`); !strings.HasPrefix(title, g.text["layout.error_prefix"]) {
		g.t.Errorf("%s: the title %q does not begin with the error", where, title)
	}
}

type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		Target         []any
		FailureSummary string
	}
}

// axe runs the accessibility checker over the page, with all rules that it has on by itself.
func (g *gallery) axe(where string) {
	g.t.Helper()
	g.v.size(1280, 900)
	run := axeScript + `; axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, Target: n.target, FailureSummary: n.failureSummary}))}))))`
	out, err := chromedp.Run(g.v.ctx, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	if err != nil {
		g.t.Fatalf("%s: axe does not run: %v", where, err)
	}
	var found []violation
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		g.t.Fatal(err)
	}
	for _, v := range found {
		for _, n := range v.Nodes {
			g.t.Errorf("%s: %s (%s): %s\n%s\n%s", where, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// tooWide names what sticks out of the window to the right.
const tooWide = `(function() {
	const w = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= w && document.body.scrollWidth <= w) return [];
	return [...document.body.querySelectorAll("*")].filter(e => { const r = e.getBoundingClientRect(); return r.width && r.right > w + 0.5; }).map(e => e.outerHTML.slice(0, 120)).slice(-4).concat("page: " + document.documentElement.scrollWidth);
})()`

// sizes looks at the page on a small and on a large screen, at 320 px, and with text of twice the size, and takes pictures.
func (g *gallery) sizes(where, name string) {
	g.t.Helper()
	v := g.v
	for _, width := range []int64{1280, 360} {
		v.size(width, 900)
		g.picture(fmt.Sprintf("%s-%s-%s-%d.png", g.of.name, g.lang, name, width))
		if out := eval[[]string](v, tooWide); len(out) > 0 {
			g.t.Errorf("%s: at %d px it scrolls sideways: %v", where, width, out)
		}
	}
	v.size(320, 640)
	if out := eval[[]string](v, tooWide); len(out) > 0 {
		g.t.Errorf("%s: at 320 px it scrolls sideways: %v", where, out)
	}
	v.size(1280, 900)
	eval[string](v, `document.documentElement.style.fontSize = "200%"`)
	if out := eval[[]string](v, tooWide); len(out) > 0 {
		g.t.Errorf("%s: with text of twice the size it scrolls sideways: %v", where, out)
	}
	if cut := eval[[]string](v, cutText); len(cut) > 0 {
		g.t.Errorf("%s: with text of twice the size this is cut: %v", where, cut)
	}
	eval[string](v, `document.documentElement.style.fontSize = ""`)
}

// cutText names what hides a part of its text.
const cutText = `[...document.querySelectorAll("main *, header *, footer *")].filter(e => {
	const s = getComputedStyle(e);
	return e.offsetParent && e.childNodes.length && !e.closest(".usa-sr-only, .ellis-menu__name") && s.overflow !== "visible" && e.tagName !== "SELECT" && (e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2) && e.clientHeight > 0;
}).map(e => e.outerHTML.slice(0, 120))`

// artifacts is where pictures are kept.
func artifacts() string {
	if dir := os.Getenv("ELLIS_ARTIFACTS"); dir != "" {
		return dir
	}
	return filepath.Join(demo.root, ".artifacts")
}

func (g *gallery) picture(name string) {
	g.t.Helper()
	png, err := chromedp.Run(g.v.ctx, chromedp.FullScreenshot(100))
	dir := filepath.Join(artifacts(), "screenshots")
	if err == nil {
		err = os.MkdirAll(dir, 0o750)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), png, 0o600)
	}
	if err != nil {
		g.t.Error(err)
	}
}

// complete fails for each template of the service that was not looked at, but those that have a reason.
func (g *gallery) complete(but map[string]string) {
	g.t.Helper()
	list, err := filepath.Glob(filepath.Join(demo.root, g.of.templates, "*.html"))
	if err != nil || len(list) < 10 {
		g.t.Fatalf("%d templates (%v)", len(list), err)
	}
	for _, file := range list {
		name := strings.TrimSuffix(filepath.Base(file), ".html")
		switch reason, excused := but[name]; {
		case excused && g.seen[name]:
			g.t.Errorf("%s was looked at, and still there is a reason why not: %s", name, reason)
		case !excused && !g.seen[name]:
			g.t.Errorf("no walk shows the page %s: add it, so that it is looked at like the others", name)
		}
	}
}

// routes fails for each path that a file of the service mounts and that the walk did not ask for.
func (g *gallery) routes(file, base string, mounted *regexp.Regexp, least int) {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(demo.root, file))
	if err != nil {
		g.t.Fatal(err)
	}
	all := mounted.FindAllStringSubmatch(string(b), -1)
	if len(all) < least {
		g.t.Fatalf("%s mounts %d paths, as far as can be read", file, len(all))
	}
	for _, m := range all {
		pattern := regexp.MustCompile("^" + regexp.QuoteMeta(base) + strings.ReplaceAll(regexp.QuoteMeta(m[1]), `\{id\}`, "[^/]+") + "$")
		found := false
		for _, p := range g.v.visited() {
			found = found || pattern.MatchString(p)
		}
		if !found {
			g.t.Errorf("the walk never asks for %s", m[1])
		}
	}
}
