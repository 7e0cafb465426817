package ui_test

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/ui/uitest"
)

func renderer(t *testing.T) *ui.Renderer {
	t.Helper()
	r, err := ui.New(ui.Brand{Name: "Ellis", Contact: "help@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// eachPage renders every sample in every language.
func eachPage(t *testing.T, check func(t *testing.T, lang i18n.Lang, page ui.Page, text string, doc *html.Node)) {
	t.Helper()
	r := renderer(t)
	for _, lang := range i18n.Languages() {
		for i, page := range uitest.Pages() {
			t.Run(fmt.Sprintf("%s/%s/%d", lang, page.Template(), i), func(t *testing.T) {
				var b bytes.Buffer
				if err := r.Render(&b, lang, page); err != nil {
					t.Fatal(err)
				}
				doc, err := html.Parse(bytes.NewReader(b.Bytes()))
				if err != nil {
					t.Fatal(err)
				}
				check(t, lang, page, b.String(), doc)
			})
		}
	}
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func elements(doc *html.Node, tag string) []*html.Node {
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && (tag == "" || n.Data == tag) {
			out = append(out, n)
		}
	}
	return out
}

func content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestPages_HaveOneHeadingALanguageAndATitle(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, lang i18n.Lang, page ui.Page, _ string, doc *html.Node) {
		if got, _ := attr(elements(doc, "html")[0], "lang"); got != string(lang) {
			t.Errorf("lang %q", got)
		}
		h1 := elements(doc, "h1")
		if len(h1) != 1 {
			t.Fatalf("%d h1", len(h1))
		}
		title, heading := content(elements(doc, "title")[0]), content(h1[0])
		if heading == "" || !strings.Contains(title, heading) || !strings.HasSuffix(title, "– Ellis") {
			t.Errorf("title %q, heading %q", title, heading)
		}
		if wrong := len(errorsOf(page)) > 0; wrong != strings.HasPrefix(title, "Error: ") {
			t.Errorf("title %q with errors %v", title, wrong)
		}
		for _, main := range elements(doc, "main") {
			if id, _ := attr(main, "id"); id != "main" {
				t.Error("the skip link leads nowhere")
			}
		}
	})
}

func errorsOf(page ui.Page) []ui.FieldError {
	return reflect.ValueOf(page).FieldByName("Errors").Interface().([]ui.FieldError)
}

func TestPages_HaveNothingThatThePolicyForbids(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _ i18n.Lang, page ui.Page, text string, doc *html.Node) {
		for _, n := range elements(doc, "") {
			if n.Data == "style" || n.Data == "iframe" || n.Data == "base" || (n.Data == "script" && (page.Template() != "form_post" || n.FirstChild != nil)) {
				t.Errorf("<%s>", n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
				if (a.Key == "src" || (a.Key == "href" && n.Data == "link")) && !strings.HasPrefix(a.Val, "/assets/") {
					t.Errorf("<%s %s=%q> comes from elsewhere", n.Data, a.Key, a.Val)
				}
			}
		}
		if strings.Contains(text, "ZgotmplZ") {
			t.Error("a value was refused by the template engine")
		}
	})
}

func TestPages_IdentifyAndLabelEveryControl(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _ i18n.Lang, _ ui.Page, _ string, doc *html.Node) {
		ids, labels := map[string]bool{}, map[string]bool{}
		for _, n := range elements(doc, "") {
			if id, ok := attr(n, "id"); ok {
				if ids[id] || id == "" {
					t.Errorf("id %q twice or empty", id)
				}
				ids[id] = true
			}
			if n.Data == "label" {
				id, _ := attr(n, "for")
				labels[id] = true
			}
		}
		for _, n := range elements(doc, "") {
			checkControl(t, n, labels)
			for _, name := range []string{"aria-describedby", "aria-labelledby"} {
				refs, _ := attr(n, name)
				for _, id := range strings.Fields(refs) {
					if !ids[id] {
						t.Errorf("<%s %s> names %q, which is not there", n.Data, name, id)
					}
				}
			}
			if href, _ := attr(n, "href"); strings.HasPrefix(href, "#") && !ids[href[1:]] {
				t.Errorf("link to %q, which is not there", href)
			}
		}
	})
}

func checkControl(t *testing.T, n *html.Node, labels map[string]bool) {
	t.Helper()
	kind, _ := attr(n, "type")
	_, hidden := attr(n, "hidden")
	switch {
	case n.Data == "button":
		if label, _ := attr(n, "aria-label"); content(n) == "" && label == "" {
			t.Error("a button without words")
		}
	case (n.Data == "input" && kind != "hidden" && !hidden) || n.Data == "select":
		if id, _ := attr(n, "id"); !labels[id] {
			t.Errorf("no label for %q", id)
		}
		if _, ok := attr(n, "autocomplete"); !ok && kind != "radio" && kind != "checkbox" {
			t.Errorf("no autocomplete at %v", n.Attr)
		}
	}
}

func TestPages_NeverRepeatAPassword(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _ i18n.Lang, _ ui.Page, _ string, doc *html.Node) {
		for _, n := range elements(doc, "input") {
			if kind, _ := attr(n, "type"); kind == "password" {
				if v, ok := attr(n, "value"); ok {
					t.Errorf("value %q", v)
				}
			}
		}
	})
}

func TestPages_ShowEachErrorInTheSummaryAndBesideItsField(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, lang i18n.Lang, page ui.Page, _ string, doc *html.Node) {
		invalid, summary, beside, focused := map[string]bool{}, "", "", 0
		for _, n := range elements(doc, "") {
			if id, _ := attr(n, "id"); id == "errors" {
				summary = content(n)
			} else if _, bad := attr(n, "aria-invalid"); bad {
				invalid[id] = true
			}
			if class, _ := attr(n, "class"); class == "usa-error-message" {
				beside += content(n)
			}
			if _, ok := attr(n, "autofocus"); ok {
				focused++
			}
		}
		if focused > 1 || (len(errorsOf(page)) > 0 && summary == "") {
			t.Errorf("%d elements with autofocus, summary %q", focused, summary)
		}
		for _, e := range errorsOf(page) {
			words := lang.Text(e.Key, e.Args...)
			if !strings.Contains(summary, words) {
				t.Errorf("summary lacks %q", words)
			}
			if e.Field != "" && e.Field != "locale" && (!strings.Contains(beside, words) || !invalid[strings.Replace(e.Field, "birth_date", "birth_year", 1)]) {
				t.Errorf("nothing beside field %q", e.Field)
			}
		}
	})
}

var keyLike = regexp.MustCompile(`\b(?:layout|menu|field|error|notice|hint|scope|activity|status|fault|month|format|agent|signin|factor|consent|mail)\.[a-z_0-9]+\b`)

func TestPages_SpeakOnlyInWords(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _ i18n.Lang, _ ui.Page, text string, doc *html.Node) {
		body := content(elements(doc, "body")[0])
		if found := keyLike.FindString(body); found != "" {
			t.Errorf("%q looks like a key", found)
		}
		if strings.Contains(body, "<no value>") || strings.Contains(body, "{{") {
			t.Error("a place was left open")
		}
		if strings.Contains(text, "<script>") {
			t.Error("a value became markup")
		}
	})
}

func TestPages_ProtectEveryFormButTheAnswerToAnApp(t *testing.T) {
	t.Parallel()
	eachPage(t, func(t *testing.T, _ i18n.Lang, page ui.Page, _ string, doc *html.Node) {
		for _, form := range elements(doc, "form") {
			token, buttons := 0, 0
			for _, n := range elements(form, "") {
				if name, _ := attr(n, "name"); name == "csrf_token" {
					token++
				}
				if n.Data == "button" {
					buttons++
				}
			}
			want := 1
			if page.Template() == "form_post" {
				want = 0
			}
			if action, _ := attr(form, "action"); token != want || buttons == 0 || action == "" {
				t.Errorf("form to %q: %d tokens, %d buttons", action, token, buttons)
			}
			if method, _ := attr(form, "method"); method != "post" {
				t.Errorf("method %q", method)
			}
		}
	})
}

func TestPages_EveryTemplateHasASample(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, page := range uitest.Pages() {
		seen[page.Template()] = true
	}
	for _, name := range templateNames(t) {
		if !seen[name] {
			t.Errorf("no sample of %q", name)
		}
	}
}

func TestRender_WritesNothingOfAPageThatFails(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	err := renderer(t).Render(&b, i18n.English, ui.EnrolTOTP{URI: strings.Repeat("x", 5000)})
	if err == nil || b.Len() != 0 {
		t.Errorf("error %v, %d bytes", err, b.Len())
	}
}

func TestLanguageSwitch_HasItsOwnTokenAndWayBack(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	page := ui.Help{Base: ui.Base{CSRF: "page-token", LanguageCSRF: "language-token", LanguageBack: "/help?x=1&y=2"}}
	if err := renderer(t).Render(&b, i18n.Spanish, page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`value="language-token"`, `value="/help?x=1&amp;y=2"`, `name="lang" value="en" lang="en">English<`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestLoggedOut_LinksToNoAddressThatABrowserRuns(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", " javascript:x", "vbscript:x", "java\nscript:x"} {
		var b bytes.Buffer
		if err := renderer(t).Render(&b, i18n.English, ui.LoggedOut{ContinueURL: address}); err != nil {
			t.Fatal(err)
		}
		doc, err := html.Parse(&b)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range elements(doc, "a") {
			if href, _ := attr(a, "href"); strings.Contains(strings.ToLower(href), "script") || strings.HasPrefix(href, "data:") {
				t.Errorf("%q became %q", address, href)
			}
		}
	}
}

func TestActivity_HasWordsForEachKnownEvent(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	for _, lang := range i18n.Languages() {
		for _, kind := range ui.ActivityTypes() {
			var b bytes.Buffer
			if err := r.Render(&b, lang, ui.Activity{Items: []ui.ActivityItem{{Type: kind, At: uitest.At}}}); err != nil {
				t.Fatal(err)
			}
			if words := lang.Text(i18n.Key("activity." + kind)); !strings.Contains(b.String(), "<strong>"+words+"</strong>") {
				t.Errorf("%s %s: no %q", lang, kind, words)
			}
		}
	}
}

func TestErrorPage_PrefersTheWordsOfTheCode(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	cases := []struct {
		page ui.ErrorPage
		key  i18n.Key
	}{
		{ui.ErrorPage{Status: 400, Code: "redirect_uri_unregistered"}, "fault.redirect_uri_unregistered.title"},
		{ui.ErrorPage{Status: 404, Code: "unheard_of"}, "status.404.title"},
		{ui.ErrorPage{Status: 418}, "status.400.title"},
		{ui.ErrorPage{Status: 502}, "status.500.title"},
		{ui.ErrorPage{}, "status.500.title"},
	}
	for _, c := range cases {
		var b bytes.Buffer
		if err := r.Render(&b, i18n.Spanish, c.page); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), ">"+i18n.Spanish.Text(c.key)+"</h1>") {
			t.Errorf("%+v does not say %s", c.page, c.key)
		}
	}
}
