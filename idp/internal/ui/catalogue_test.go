package ui_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/ui/uitest"
)

func templateNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("templates/pages/*.html")
	if err != nil || len(files) == 0 {
		t.Fatal("no templates", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".html")
	}
	return files
}

// catalogue reads a language's messages: each as its forms, "other" alone where there is no plural.
func catalogue(t *testing.T, lang i18n.Lang) map[string]map[string]string {
	t.Helper()
	data, err := os.ReadFile("../i18n/catalogue/" + string(lang) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for key, v := range raw {
		out[key] = map[string]string{}
		switch v := v.(type) {
		case string:
			out[key]["other"] = v
		case map[string]any:
			for form, text := range v {
				out[key][form] = text.(string)
			}
		}
	}
	return out
}

var place = regexp.MustCompile(`{{[^}]*}}`)

func TestCatalogue_LanguagesHaveTheSameKeysAndPlaces(t *testing.T) {
	t.Parallel()
	en := catalogue(t, i18n.English)
	for _, lang := range i18n.Languages()[1:] {
		other := catalogue(t, lang)
		for key := range other {
			if _, ok := en[key]; !ok {
				t.Errorf("%s alone has %q", lang, key)
			}
		}
		for key, forms := range en {
			for form, text := range forms {
				there, ok := other[key][form]
				if !ok || there == "" || text == "" {
					t.Errorf("%s lacks %q (%s)", lang, key, form)
				}
				if a, b := placesOf(text), placesOf(there); !slices.Equal(a, b) {
					t.Errorf("%q has places %v in en, %v in %s", key, a, b, lang)
				}
			}
		}
	}
}

func placesOf(text string) []string {
	found := place.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestCatalogue_TextsArePlain(t *testing.T) {
	t.Parallel()
	for _, lang := range i18n.Languages() {
		for key, forms := range catalogue(t, lang) {
			for _, text := range forms {
				if strings.ContainsAny(place.ReplaceAllString(text, ""), "<>&{}") || strings.TrimSpace(text) != text {
					t.Errorf("%s %q: %q", lang, key, text)
				}
			}
		}
	}
}

var (
	quoted  = regexp.MustCompile(`"([a-z_]+(?:\.[a-z_0-9]+)+)"`)
	spoken  = regexp.MustCompile(`\bt "([^"]+)"`)
	exempt  = []string{"layout.html", "mail.html"} // names of templates
	ignored = regexp.MustCompile(`\.(html|css|svg|js|woff2)$`)
)

// usedKeys collects the keys that templates and code name, and those of the lists that are known by name only.
func usedKeys(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for _, root := range []string{".", "../i18n"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "uitest") {
				return err
			}
			if ext := filepath.Ext(path); ext != ".go" && ext != ".html" {
				return nil
			}
			data, err := os.ReadFile(path)
			for _, m := range quoted.FindAllStringSubmatch(string(data), -1) {
				if !ignored.MatchString(m[1]) && !slices.Contains(exempt, m[1]) {
					used[m[1]] = true
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return used
}

// listedKeys are the keys that are put together from lists.
func listedKeys() map[string]bool {
	keys := map[string]bool{}
	add := func(stem string, names []string, ends ...string) {
		for _, n := range names {
			for _, end := range ends {
				keys[stem+n+end] = true
			}
		}
	}
	add("activity.", ui.ActivityTypes(), "")
	add("fault.", ui.FaultCodes(), ".title", ".text")
	add("status.", []string{"400", "403", "404", "405", "409", "410", "413", "415", "421", "500"}, ".title", ".text")
	add("strength.", []string{"1", "2", "3", "4", "5"}, "")
	add("month.", []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, "")
	add("scope.", []string{"openid", "profile", "email", "offline_access"}, "")
	for _, m := range uitest.Mails() {
		add("mail.", []string{m.MailTemplate()}, ".subject", ".text")
	}
	add("mail.", []string{"confirm_address", "already_have_account"}, ".button", ".after")
	return keys
}

func TestCatalogue_EveryKeyThatIsUsedIsThereAndEveryKeyIsUsed(t *testing.T) {
	t.Parallel()
	have, listed, named := catalogue(t, i18n.English), listedKeys(), usedKeys(t)
	for key := range maps.Keys(listed) {
		if _, ok := have[key]; !ok {
			t.Errorf("missing: %q", key)
		}
	}
	for key := range have {
		if !listed[key] && !named[key] {
			t.Errorf("nobody uses %q", key)
		}
	}
	for _, key := range templateKeys(t) {
		if _, ok := have[key]; !ok {
			t.Errorf("missing, named in a template: %q", key)
		}
	}
	for _, key := range constantKeys(t) {
		if _, ok := have[key]; !ok {
			t.Errorf("missing, a constant: %q", key)
		}
	}
}

func templateKeys(t *testing.T) []string {
	t.Helper()
	var keys []string
	files, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range templateNames(t) {
		files = append(files, "templates/pages/"+name+".html")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, expr := range []*regexp.Regexp{spoken, quoted} {
			for _, m := range expr.FindAllStringSubmatch(string(data), -1) {
				if !ignored.MatchString(m[1]) {
					keys = append(keys, m[1])
				}
			}
		}
	}
	return keys
}

var constant = regexp.MustCompile(`i18n\.Key = "([^"]+)"|\bKey = "([^"]+)"|w\.text\("([^"+]+)"`)

func constantKeys(t *testing.T) []string {
	t.Helper()
	var keys []string
	for _, pattern := range []string{"*.go", "../i18n/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range constant.FindAllStringSubmatch(string(data), -1) {
				if key := m[1] + m[2] + m[3]; !strings.HasSuffix(key, ".") && !strings.HasSuffix(f, "_test.go") {
					keys = append(keys, key)
				}
			}
		}
	}
	return keys
}
