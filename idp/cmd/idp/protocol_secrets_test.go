package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// secretName matches what a value is called that nobody may guess byte by byte.
var secretName = regexp.MustCompile(`(?i:secret|passw|token|hash|digest|mac$|hmac|cookie|verifier|csrf|signature|otp|seed|recovery|child$|sealed)|^(code|key|sum|pin)$`)

// publicName matches what is called alike and is no secret: metadata of clients.
var publicName = regexp.MustCompile(`^(TokenEndpointAuth|TokenEndpointAuthAlg|IDTokenAlg|IDTokenAlgorithms|warnPasswords)$`)

// harmless are the comparisons that tell nothing, each with its reason.
var harmless = map[string]string{
	"admin/document.go: Value == key":            "a name in a document that its author wrote",
	"witness/verify.go: want != Hash":            "the chain of the audit is no secret: whoever reads it has it",
	"witness/verify.go: was != Hash":             "the same",
	"keyring/rewrap.go: Resealed == before":      "two counts",
	"telemetry/logs.go: Key == key":              "the name of an attribute of a log line",
	"sqldb/tx.go: key == key":                    "the name of something to do",
	"witness/checkpoint.go: Hash == Hash":        "of records and checkpoints, which nobody presents",
	"witness/verify.go: Hash != Hash":            "the same",
	"sqldb/place.go: copied != sum":              "digests of a file that was read twice",
	"chain/chain.go: link != Hash":               "the same",
	"client/registration.go: code == Contains":   "whether a client uses codes",
	"grant/lifetime.go: Hash == Child":           "both are SHA-256 of 256 random bits: where they differ says nothing of the text that was presented",
	"oauth/token_refresh.go: Hash != Child":      "the same; and its text was opened under the key of the presented token",
	"seal/seal.go: bytes.Equal of id and sealed": "the id of a key stands in clear before what it sealed",
}

// comparing are functions that stop at the first difference.
var comparing = map[string]bool{"bytes.Equal": true, "bytes.Compare": true, "strings.EqualFold": true, "strings.Compare": true, "slices.Equal": true, "slices.Contains": true, "slices.Index": true, "reflect.DeepEqual": true, "bytes.HasPrefix": true, "bytes.Contains": true}

// variableTime returns the comparisons in a file that may tell by their time how much of a secret was right.
func variableTime(fset *token.FileSet, f *ast.File) (out []string) {
	report := func(n ast.Node, what string) {
		at := fset.Position(n.Pos())
		out = append(out, filepath.ToSlash(at.Filename)+": "+what)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && !fixed(n.X) && !fixed(n.Y) && (secretive(n.X) || secretive(n.Y)) {
				report(n, lastName(n.X)+" "+n.Op.String()+" "+lastName(n.Y))
			}
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) != 2 {
				return true
			}
			if name := lastName(s.X) + "." + s.Sel.Name; comparing[name] && (secretive(n.Args[0]) || secretive(n.Args[1])) {
				report(n, name+" of "+lastName(n.Args[0])+" and "+lastName(n.Args[1]))
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && secretive(n.Tag) {
				report(n, "switch on "+lastName(n.Tag))
			}
		}
		return true
	})
	return out
}

// fixed reports whether an operand is written in the source: comparing with it tells nothing that is not published.
func fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.CompositeLit:
		return len(e.Elts) == 0
	case *ast.Ident:
		return e.Name == "nil" || e.Name == "true" || e.Name == "false"
	case *ast.CallExpr: // a length is no secret
		return lastName(e.Fun) == "len"
	}
	return false
}

func secretive(e ast.Expr) bool {
	name := lastName(e)
	return secretName.MatchString(name) && !publicName.MatchString(name)
}

// lastName is what an operand is called: the field, the function, the variable.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return lastName(e.Fun)
	case *ast.IndexExpr:
		return lastName(e.X)
	case *ast.SliceExpr:
		return lastName(e.X)
	case *ast.StarExpr:
		return lastName(e.X)
	case *ast.ParenExpr:
		return lastName(e.X)
	case *ast.UnaryExpr:
		return lastName(e.X)
	}
	return ""
}

func TestAttack_B29_SecretsAreComparedInConstantTime(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	found := map[string]bool{}
	root := "../../internal"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.ToSlash(path)
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(name, "/storetest") || strings.HasSuffix(name, "/i18n"): // a test's own comparisons; words of pages
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, one := range variableTime(fset, f) {
			one = strings.TrimPrefix(one, root+"/")
			if found[one] = true; harmless[one] == "" {
				t.Errorf("%s: use subtle.ConstantTimeCompare or look the value up by its hash, or say why it tells nothing", one)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for one := range harmless {
		if !found[one] {
			t.Errorf("%s is excused and not there", one)
		}
	}
}

func TestVariableTime_SeesEachWayToCompare(t *testing.T) {
	t.Parallel()
	const src = `package p
func f(a, secret string, tokenHash, h [32]byte, cookie []byte) {
	_ = a == secret
	_ = tokenHash != h
	_ = bytes.Equal(cookie, nil2)
	_ = slices.Contains(list, r.Password)
	switch csrfToken() { case a: }
	_ = secret == "" || len(secret) == a || h == [32]byte{} || cookie == nil
	_ = subtle.ConstantTimeCompare(cookie, nil2) == 1
}`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"p.go: a == secret", "p.go: tokenHash != h", "p.go: bytes.Equal of cookie and nil2", "p.go: slices.Contains of list and Password", "p.go: switch on csrfToken"}
	if got := variableTime(fset, f); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
