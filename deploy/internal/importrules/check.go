package importrules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// family is the beginning of the import path of every module here.
const family = "ellis.example/"

// Package is what a folder's Go files say.
type Package struct {
	Path        string   // below the module
	Imports     []string // of its code
	TestImports []string // of its tests alone
	Documented  bool     // doc.go has the package's comment
}

var replaced = regexp.MustCompile(`(?m)^\s*replace\b`)

// Check returns everything in a module's folder that breaks its rules, sorted. Errors: those of reading the files.
func Check(dir string, m Module) ([]string, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // a folder of this checkout
	if err != nil {
		return nil, err
	}
	packages, err := Load(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	if replaced.Match(mod) {
		out = append(out, "go.mod: no replace: each module builds from what the registries serve")
	}
	testing := map[string]bool{}
	for _, p := range packages {
		testing[m.Path+"/"+p.Path] = slices.Contains(p.Imports, "testing")
	}
	for _, p := range packages {
		out = append(out, m.check(p, testing)...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Problems returns what one package does wrong, alone.
func (m Module) Problems(p Package) []string { return m.check(p, nil) }

// check returns what one package does wrong. testing tells which packages of the module are there for tests.
func (m Module) check(p Package, testing map[string]bool) []string {
	var out []string
	wrong := func(format string, args ...any) {
		out = append(out, p.Path+": "+fmt.Sprintf(format, args...))
	}
	if !p.Documented {
		wrong("doc.go with the package's comment is missing")
	}
	layer, placed := m.layerOf(p.Path)
	if !placed {
		wrong("it is in no layer: place it in importrules/rules.go")
		return out
	}
	for _, i := range p.Imports {
		rel, own := strings.CutPrefix(i, m.Path+"/")
		to, _ := m.layerOf(rel)
		switch {
		case own && !slices.Contains(layer.May, to.Name):
			wrong("%s must not import %s (%s)", layer.Name, rel, to.Name)
		case own && testing[i] && !testing[m.Path+"/"+p.Path]:
			wrong("it must not import %s, which is there for tests", rel)
		case (i == "net/http" || strings.HasPrefix(i, "net/http/")) && !layer.HTTP:
			wrong("%s must not know HTTP: %s", layer.Name, i)
		}
	}
	for _, i := range slices.Concat(p.Imports, p.TestImports) {
		if strings.HasPrefix(i, family) && i != m.Path && !strings.HasPrefix(i, m.Path+"/") {
			wrong("it must not import %s of another module", i)
		}
		for _, o := range slices.Concat(nobody, m.Only) {
			if below(i, o.Prefix) && !slices.Contains(o.By, p.Path) && (!o.Tests || slices.Contains(p.Imports, i)) {
				wrong("it must not import %s: %s", i, o.Why)
			}
		}
	}
	return out
}

func below(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func (m Module) layerOf(path string) (Layer, bool) {
	for _, l := range m.Layers {
		for _, p := range l.Packages {
			all, wild := strings.CutSuffix(p, "/*")
			if path == p || (wild && strings.HasPrefix(path, all+"/")) {
				return l, true
			}
		}
	}
	return Layer{}, false
}

// Load reads the packages below dir, without those of modules inside it.
func Load(dir string) ([]Package, error) {
	found := map[string]*Package{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(dir, path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel(dir, filepath.Dir(path))
		if err != nil {
			return err
		}
		p := found[rel]
		if p == nil {
			p = &Package{Path: filepath.ToSlash(rel)}
			found[rel] = p
		}
		return p.read(path)
	})
	var out []Package
	for _, k := range slices.Sorted(maps.Keys(found)) {
		if p := found[k]; p.Documented || len(p.Imports)+len(p.TestImports) > 0 {
			out = append(out, *p)
		}
	}
	return out, err
}

func skip(root, path, name string) error {
	if path == root {
		return nil
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	if err == nil || name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return filepath.SkipDir
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read adds one file to a package. A file that no build takes (//go:build ignore) is a tool of its own.
func (p *Package) read(path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	if ignored(file) {
		return nil
	}
	name := filepath.Base(path)
	if name == "doc.go" {
		text := file.Doc.Text()
		p.Documented = strings.HasPrefix(text, "Package "+file.Name.Name+" ") || (file.Name.Name == "main" && strings.HasPrefix(text, "Command "))
	}
	for _, spec := range file.Imports {
		i, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		to := &p.Imports
		if strings.HasSuffix(name, "_test.go") {
			to = &p.TestImports
		}
		if !slices.Contains(*to, i) {
			*to = append(*to, i)
		}
	}
	return nil
}

func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			if err == nil && !expr.Eval(func(tag string) bool { return tag != "ignore" }) {
				return true
			}
		}
	}
	return false
}
