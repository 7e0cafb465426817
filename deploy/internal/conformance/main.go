package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed catalogue.tsv
var catalogue string

// entry is one line of the catalogue: what must not happen, and why there is no test where there is none.
type entry struct {
	id, what, reason string
	tests            []string
}

var section = map[byte]string{
	'A': "Redirects and response modes", 'B': "Codes, PKCE, refresh, revocation", 'C': "JOSE and client authentication",
	'D': "Sessions, consent, sign-out", 'E': "Factors, recovery, addresses", 'F': "Enumeration and throttling",
	'G': "Injection, headers, logs", 'H': "Authorization", 'I': "Exhaustion and platform",
}

func main() {
	check := flag.Bool("check", false, "compare docs/conformance.md with what would be written")
	root := flag.String("root", ".", "root of the checkout")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	entries, err := parse(catalogue)
	if err != nil {
		return err
	}
	tests, err := attackTests(root)
	if err != nil {
		return err
	}
	problems := match(entries, tests)
	page := render(entries)
	path := filepath.Join(root, "docs", "conformance.md")
	if !check {
		return errors.Join(append(problems, os.WriteFile(path, page, 0o644))...) //nolint:gosec // a public document
	}
	have, err := os.ReadFile(path) //nolint:gosec // a path of this checkout
	if err == nil && !bytes.Equal(have, page) {
		err = errors.New("docs/conformance.md is out of date: run `go run ./deploy/internal/conformance`")
	}
	return errors.Join(append(problems, err)...)
}

// parse reads lines of id, what must not happen, and optionally the reason why no test is there, separated by tabs.
func parse(text string) ([]*entry, error) {
	var out []*entry
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if f[0] == "" {
			continue
		}
		if len(f) < 2 || len(f) > 3 || section[f[0][0]] == "" {
			return nil, fmt.Errorf("catalogue: cannot read %q", line)
		}
		e := &entry{id: f[0], what: f[1]}
		if len(f) == 3 {
			e.reason = f[2]
		}
		out = append(out, e)
	}
	return out, nil
}

var attackName = regexp.MustCompile(`^TestAttack_([A-I]\d\d)_`)

// attackTests finds every TestAttack_… in the test files below root: id → "path: name".
func attackTests(root string) (map[string][]string, error) {
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, filepath.Dir(path))
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				if m := attackName.FindStringSubmatch(f.Name.Name); m != nil {
					found[m[1]] = append(found[m[1]], fmt.Sprintf("`%s` in `%s`", f.Name.Name, filepath.ToSlash(rel)))
				}
			}
		}
		return nil
	})
	return found, err
}

// match gives each entry its tests and says what does not fit.
func match(entries []*entry, tests map[string][]string) []error {
	var problems []error
	known := map[string]bool{}
	for _, e := range entries {
		known[e.id] = true
		e.tests = tests[e.id]
		slices.Sort(e.tests)
		switch {
		case len(e.tests) == 0 && e.reason == "":
			problems = append(problems, fmt.Errorf("%s (%s) has neither a test nor a reason", e.id, e.what))
		case len(e.tests) > 0 && e.reason != "":
			problems = append(problems, fmt.Errorf("%s has tests and still a reason for having none", e.id))
		}
	}
	for id, names := range tests {
		if !known[id] {
			problems = append(problems, fmt.Errorf("%s is not in the catalogue: %s", id, names[0]))
		}
	}
	return problems
}

func render(entries []*entry) []byte {
	var b bytes.Buffer
	b.WriteString("# Conformance\n\nWhat must not happen, and the test that shows it. This page is written by\n`go run ./deploy/internal/conformance`; the test script fails when it is out of date.\n")
	last := byte(0)
	for _, e := range entries {
		if e.id[0] != last {
			last = e.id[0]
			fmt.Fprintf(&b, "\n## %s\n\n| id | must not happen | shown by |\n|---|---|---|\n", section[last])
		}
		by := strings.Join(e.tests, "<br>")
		if by == "" {
			by = "_" + e.reason + "_"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e.id, e.what, by)
	}
	return b.Bytes()
}
