package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	pkg := flag.String("package", "", "unpacked @uswds/uswds")
	keep := flag.String("keep", "", "list of classes and fonts to keep")
	out := flag.String("out", "", "folder to write")
	flag.Parse()
	if err := run(*pkg, *keep, *out); err != nil {
		fmt.Fprintln(os.Stderr, "subset:", err)
		os.Exit(1)
	}
}

func run(pkg, keepFile, out string) error {
	list, err := os.ReadFile(keepFile) //nolint:gosec // a path of this checkout
	if err != nil {
		return err
	}
	css, err := os.ReadFile(filepath.Join(pkg, "dist/css/uswds.min.css")) //nolint:gosec // the package that was just unpacked
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // files of a public repository
		return err
	}
	text, files := flatten(parseKeep(string(list)).sheet(string(css)))
	if err := os.WriteFile(filepath.Join(out, "uswds.css"), []byte(text), 0o644); err != nil { //nolint:gosec // files of a public repository
		return err
	}
	files["uswds-license.md"] = "../../LICENSE.md"
	for name, from := range files {
		data, err := os.ReadFile(filepath.Join(pkg, "dist/css", from)) //nolint:gosec // a path within the package
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil { //nolint:gosec // files of a public repository
			return err
		}
	}
	return nil
}

// keepList is what survives.
type keepList struct {
	classes []string // patterns of path.Match
	fonts   []string
}

func parseKeep(text string) keepList {
	var k keepList
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if font, ok := strings.CutPrefix(line, "font "); ok {
			k.fonts = append(k.fonts, font)
		} else if line != "" && !strings.HasPrefix(line, "#") {
			k.classes = append(k.classes, line)
		}
	}
	return k
}

// sheet filters a list of rules.
func (k keepList) sheet(css string) string {
	var b strings.Builder
	for css != "" {
		prelude, body, rest := nextRule(css)
		css = rest
		b.WriteString(k.rule(prelude, body))
	}
	return b.String()
}

// rule filters one rule; body is without its braces.
func (k keepList) rule(prelude, body string) string {
	switch {
	case strings.HasPrefix(prelude, "@font-face"):
		if slices.ContainsFunc(k.fonts, func(f string) bool { return strings.Contains(body, "/"+f+".woff2") }) {
			return prelude + "{" + body + "}\n"
		}
		return ""
	case strings.HasPrefix(prelude, "@media"), strings.HasPrefix(prelude, "@supports"):
		if inner := k.sheet(body); inner != "" {
			return prelude + "{" + inner + "}\n"
		}
		return ""
	case strings.HasPrefix(prelude, "@charset"):
		return prelude + "\n"
	case strings.HasPrefix(prelude, "@"):
		return ""
	}
	selectors := slices.DeleteFunc(splitSelectors(prelude), func(s string) bool { return !k.selector(s) })
	if len(selectors) == 0 {
		return ""
	}
	return strings.Join(selectors, ",") + "{" + body + "}\n"
}

var (
	negation  = regexp.MustCompile(`:not\([^)]*\)`)
	className = regexp.MustCompile(`\.((?:[A-Za-z_-]|\\.)(?:[\w-]|\\.)*)`)
)

// selector reports whether everything that this selector needs is kept.
func (k keepList) selector(s string) bool {
	for _, m := range className.FindAllStringSubmatch(negation.ReplaceAllString(s, ""), -1) {
		name := strings.ReplaceAll(m[1], `\`, "")
		if !slices.ContainsFunc(k.classes, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			return false
		}
	}
	return true
}

var comment = regexp.MustCompile(`(?s)^\s*/\*.*?\*/`)

// nextRule cuts the first rule off: what stands before its block, the block, and the rest.
func nextRule(css string) (prelude, body, rest string) {
	for comment.MatchString(css) {
		css = comment.ReplaceAllString(css, "")
	}
	end := scan(css, 0, "{;")
	if end == len(css) || css[end] == ';' {
		end = min(end+1, len(css))
		return strings.TrimSpace(css[:end]), "", css[end:]
	}
	closing := end + 1
	for depth := 1; ; closing++ {
		closing = scan(css, closing, "{}")
		if closing == len(css) {
			return strings.TrimSpace(css[:end]), css[end+1:], ""
		}
		if css[closing] == '{' {
			depth++
		} else if depth--; depth == 0 {
			return strings.TrimSpace(css[:end]), css[end+1 : closing], css[closing+1:]
		}
	}
}

// scan returns the index of the first byte of stops at or after from that is in neither string nor parentheses, or the
// length.
func scan(css string, from int, stops string) int {
	var quote byte
	parens := 0
	for i := from; i < len(css); i++ {
		c := css[i]
		switch {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			parens++
		case c == ')':
			parens--
		case parens == 0 && strings.IndexByte(stops, c) >= 0:
			return i
		}
	}
	return len(css)
}

func splitSelectors(s string) []string {
	var out []string
	for s != "" {
		i := scan(s, 0, ",")
		out = append(out, strings.TrimSpace(s[:i]))
		s = s[min(i+1, len(s)):]
	}
	return out
}

var reference = regexp.MustCompile(`url\("?([^")]+)"?\)`)

// flatten makes every reference point into the style sheet's own folder, and names what it needs there.
func flatten(css string) (text string, files map[string]string) {
	files = map[string]string{}
	text = reference.ReplaceAllStringFunc(css, func(m string) string {
		from := reference.FindStringSubmatch(m)[1]
		name := path.Base(from)
		files[name] = from
		return "url(" + name + ")"
	})
	return text, files
}
