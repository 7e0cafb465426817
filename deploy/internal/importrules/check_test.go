package importrules_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ellis.example/deploy/internal/importrules"
)

const root = "../../.."

func TestModules_KeepTheirOrder(t *testing.T) {
	t.Parallel()
	for dir, m := range importrules.Modules {
		problems, err := importrules.Check(filepath.Join(root, dir), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s/%s", dir, p)
		}
	}
}

func TestWorkspace_ReplacesNothing(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "replace") {
		t.Error("go.work replaces a module")
	}
}

// house is a module that breaks nothing.
var house = map[string]string{
	"go.mod":                     "module ellis.example/house\n",
	"leaf/doc.go":                "// Package leaf is a leaf.\npackage leaf\n",
	"leaf/leaf.go":               "package leaf\nimport \"time\"\nvar _ time.Time\n",
	"middle/doc.go":              "// Package middle is in the middle.\npackage middle\nimport _ \"ellis.example/house/leaf\"\n",
	"middle/middle_test.go":      "package middle\nimport (\n\t\"testing\"\n\t_ \"net/http\"\n\t_ \"database/sql\"\n)\nfunc TestX(t *testing.T) {}\n",
	"middle/middletest/doc.go":   "// Package middletest helps tests.\npackage middletest\nimport _ \"testing\"\n",
	"top/doc.go":                 "// Command top is on top.\npackage main\nimport (\n\t_ \"net/http\"\n\t_ \"ellis.example/house/middle\"\n)\n",
	"sql/doc.go":                 "// Package sql speaks it.\npackage sql\nimport _ \"database/sql\"\n",
	"middle/testdata/bad/bad.go": "package bad\nimport \"C\"\n",
	"leaf/tool.go":               "//go:build ignore\n\npackage main\nimport _ \"net/http\"\n",
	"tools/go.mod":               "module ellis.example/house/tools\nreplace a => b\n",
	"tools/tools.go":             "package tools\nimport _ \"ellis.example/elsewhere\"\n",
}

var order = importrules.Module{
	Path: "ellis.example/house",
	Layers: []importrules.Layer{
		{Name: "leaves", Packages: []string{"leaf"}, May: []string{"leaves"}},
		{Name: "middle", Packages: []string{"middle"}, May: []string{"leaves", "help"}},
		{Name: "help", Packages: []string{"middle/middletest"}, May: []string{"leaves"}},
		{Name: "sql", Packages: []string{"sql"}},
		{Name: "cmd", Packages: []string{"top"}, May: []string{"leaves", "middle"}, HTTP: true},
	},
	Only: []importrules.Only{{Prefix: "database/sql", By: []string{"sql"}, Tests: true, Why: "one package"}, {Prefix: "github.com/one", By: []string{"sql"}, Why: "one package"}},
}

func build(t *testing.T, change map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, files := range []map[string]string{house, change} {
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestCheck_NamesEachBreach(t *testing.T) {
	t.Parallel()
	imports := func(pkg, path string) string { return "package " + pkg + "\nimport _ \"" + path + "\"\n" }
	for name, c := range map[string]struct {
		file, text, want string
	}{
		"nothing":              {"leaf/more.go", "package leaf\n", ""},
		"upwards":              {"leaf/more.go", imports("leaf", "ellis.example/house/middle"), "leaf: leaves must not import middle (middle)"},
		"not named":            {"sql/more.go", imports("sql", "ellis.example/house/leaf"), "sql: sql must not import leaf (leaves)"},
		"HTTP in a domain":     {"middle/more.go", imports("middle", "net/http/httptest"), "middle: middle must not know HTTP: net/http/httptest"},
		"SQL in a domain":      {"middle/more.go", imports("middle", "database/sql/driver"), "middle: it must not import database/sql/driver: one package"},
		"cgo":                  {"leaf/more.go", imports("leaf", "C"), "leaf: it must not import C: what ships is built without cgo"},
		"weak randomness":      {"leaf/leaf_test.go", imports("leaf", "math/rand/v2"), "leaf: it must not import math/rand/v2: randomness comes from crypto/rand"},
		"another module":       {"top/more.go", imports("main", "ellis.example/elsewhere/x"), "top: it must not import ellis.example/elsewhere/x of another module"},
		"another in a test":    {"top/top_test.go", imports("main", "ellis.example/elsewhere"), "top: it must not import ellis.example/elsewhere of another module"},
		"test code in a build": {"middle/more.go", imports("middle", "ellis.example/house/middle/middletest"), "middle: it must not import middle/middletest, which is there for tests"},
		"a test's library":     {"middle/more.go", imports("middle", "github.com/one/x"), "middle: it must not import github.com/one/x: one package"},
		"also in a test":       {"middle/other_test.go", imports("middle", "github.com/one/x"), "middle: it must not import github.com/one/x: one package"},
		"a new package":        {"new/doc.go", "// Package new is new.\npackage new\n", "new: it is in no layer: place it in importrules/rules.go"},
		"no package comment":   {"leaf/doc.go", "package leaf\n", "leaf: doc.go with the package's comment is missing"},
		"another comment":      {"leaf/doc.go", "// Leaf is a leaf.\npackage leaf\n", "leaf: doc.go with the package's comment is missing"},
		"replace":              {"go.mod", "module ellis.example/house\n\nreplace a => ../a\n", "go.mod: no replace: each module builds from what the registries serve"},
	} {
		problems, err := importrules.Check(build(t, map[string]string{c.file: c.text}), order)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		if !slices.Equal(problems, want) {
			t.Errorf("%s: got %q, want %q", name, problems, want)
		}
	}
}

// The rules that matter most, put to the tables themselves: each of these imports must be refused.
func TestModules_RefuseWhatTheDesignRulesOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dir, pkg, imported string }{
		{"idp", "internal/flow", "net/http"},
		{"idp", "internal/grant", "database/sql"},
		{"idp", "internal/acts", "github.com/ory/fosite"},
		{"idp", "internal/pages", "github.com/ory/fosite/handler/oauth2"},
		{"idp", "internal/session", "github.com/redis/go-redis/v9"},
		{"idp", "internal/store/sqlstore", "github.com/redis/go-redis/v9"},
		{"idp", "internal/oauth", "ellis.example/idp/internal/pages"},
		{"idp", "internal/pages", "ellis.example/idp/internal/oauth"},
		{"idp", "internal/oauth", "ellis.example/idp/internal/store/sqlstore"},
		{"idp", "internal/grant", "ellis.example/idp/internal/flow"},
		{"idp", "internal/account", "ellis.example/idp/internal/client"},
		{"idp", "internal/audit", "ellis.example/idp/internal/account"},
		{"idp", "cmd/idp", "ellis.example/deploy/internal/mailbox"},
		{"idp", "internal/oauth", "ellis.example/caseservice/internal/cases"},
		{"caseservice", "cmd/caseservice", "ellis.example/idp/internal/fault"},
		{"caseservice", "internal/portal", "ellis.example/caseservice/internal/store/sqlstore"},
		{"caseservice", "internal/cases", "net/http"},
		{"deploy", "demo", "ellis.example/idp/cmd/idp"},
	} {
		p := importrules.Package{Path: c.pkg, Imports: []string{c.imported}, Documented: true}
		if problems := importrules.Modules[c.dir].Problems(p); len(problems) != 1 {
			t.Errorf("%s/%s imports %s: %q", c.dir, c.pkg, c.imported, problems)
		}
	}
}
