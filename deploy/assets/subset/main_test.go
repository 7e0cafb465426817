package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSheet_KeepsWhatTheListNamesAndWhatNeedsNoClass(t *testing.T) {
	t.Parallel()
	keep := parseKeep("# comment\nfont Body\n\nusa-alert*\nusa-button\nmargin-[0-2]\ntablet:grid-col-*\n")
	cases := []struct{ css, want string }{
		{`@charset "UTF-8";a{color:red}`, "@charset \"UTF-8\";\na{color:red}\n"},
		{`/*! note */.usa-alert,.usa-nav{x:y}`, ".usa-alert{x:y}\n"},
		{`.usa-alert--info .usa-nav__x{x:y}`, ""},
		{`.usa-button:not(.usa-button--big,[a]):hover{x:y}`, ".usa-button:not(.usa-button--big,[a]):hover{x:y}\n"},
		{`.usa-button--big{x:y}`, ""},
		{`.tablet\:grid-col-6{width:50%}.tablet\:hide{x:y}`, ".tablet\\:grid-col-6{width:50%}\n"},
		{`.margin-1{x:y}.margin-3{x:y}`, ".margin-1{x:y}\n"},
		{`@media print{.usa-nav{x:y}}`, ""},
		{`@media print{.usa-nav{x:y}.usa-alert{x:y}}`, "@media print{.usa-alert{x:y}\n}\n"},
		{`@supports ((-webkit-mask:url()) or (mask:url())){.usa-alert{x:y}}b{x:y}`, "@supports ((-webkit-mask:url()) or (mask:url())){.usa-alert{x:y}\n}\nb{x:y}\n"},
		{`@font-face{src:url(../fonts/Body.woff2)}@font-face{src:url(../fonts/Body2.woff2)}`, "@font-face{src:url(../fonts/Body.woff2)}\n"},
		{`@keyframes x{to{y:z}}`, ""},
		{`a{content:"}{.usa-nav"}b{x:y}`, "a{content:\"}{.usa-nav\"}\nb{x:y}\n"},
		{`a{x:y`, "a{x:y}\n"},
	}
	for _, c := range cases {
		if got := keep.sheet(c.css); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.css, got, c.want)
		}
	}
}

func TestFlatten_PointsIntoItsOwnFolder(t *testing.T) {
	t.Parallel()
	text, files := flatten(`a{b:url(../img/x.svg)}@font-face{src:url("../fonts/f/y.woff2")}c{d:url()}`)
	if text != `a{b:url(x.svg)}@font-face{src:url(y.woff2)}c{d:url()}` || len(files) != 2 || files["y.woff2"] != "../fonts/f/y.woff2" {
		t.Errorf("%s %v", text, files)
	}
}

func TestAssets_AreTheSameInEveryService(t *testing.T) {
	t.Parallel()
	read := func(dir string) map[string]string {
		out := map[string]string{}
		files, err := filepath.Glob(filepath.Join("../../..", dir, "*"))
		if err != nil || len(files) < 20 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(f)] = string(data)
		}
		return out
	}
	one, other := read("idp/internal/ui/assets"), read("caseservice/internal/ui/assets")
	for name, data := range one {
		if other[name] != data {
			t.Errorf("%s differs", name)
		}
	}
	if len(one) != len(other) {
		t.Errorf("%d and %d files", len(one), len(other))
	}
	own, err := filepath.Glob("../own/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range own {
		if data, _ := os.ReadFile(f); one[filepath.Base(f)] != string(data) {
			t.Errorf("%s is not what deploy/assets/build wrote", f)
		}
	}
	if !slices.ContainsFunc(strings.Split(one["uswds-license.md"], "\n"), func(l string) bool { return strings.Contains(l, "SIL Open Font License") }) {
		t.Error("no licence")
	}
}

func FuzzSheet_EndsAndLosesNoBalance(f *testing.F) {
	f.Add(`@media x{.a{b:c}}`)
	f.Add(`"(\`)
	f.Fuzz(func(t *testing.T, css string) {
		keep := parseKeep("a")
		once := keep.sheet(css)
		if strings.Contains(once, ".zzz") && !strings.Contains(css, ".zzz") {
			t.Errorf("%q made %q", css, once)
		}
	})
}
