package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var sample = []program{{
	Name: "idp",
	Commands: []command{
		{Path: "idp", Use: "idp", Short: "Provider", Flags: []setting{{Name: "json", Type: "bool", Default: "false", Usage: "print JSON", Env: "IDP_JSON", Global: true}}},
		{Path: "idp serve", Use: "idp serve", Short: "Serve", Runs: true, Flags: []setting{{Name: "kek-file", Type: "string", Usage: "a|b <key>", Env: "IDP_KEK_FILE", Secret: "IDP_KEK"}}},
		{Path: "idp user", Use: "idp user", Short: "People"},
		{Path: "idp user add", Use: "idp user add EMAIL", Short: "Add", Runs: true, Flags: []setting{{Name: "name", Type: "string", Default: "x", Usage: "their name"}}},
	},
	Metrics: []metric{{Name: "idp_seen_total", Type: "counter", Help: "Seen.", Labels: []string{"a", "b"}}},
}}

func TestPages_TellEverything(t *testing.T) {
	t.Parallel()
	for file, lines := range map[string][]string{
		"metrics.md":       {"| `idp_seen_total` | counter | `a`, `b` | Seen. |"},
		"configuration.md": {"## idp serve", "| `--kek-file` string | `IDP_KEK_FILE`, or the secret in `IDP_KEK` |  | a\\|b &lt;key> |"},
		"commands.md":      {"* `--json` bool: print JSON (default `false`)", "### idp user add", "idp user add EMAIL", "* `--name` string: their name (default `x`)", "### idp serve"},
	} {
		page := string(pages(sample)[file])
		for _, line := range lines {
			if !strings.Contains(page, line+"\n") {
				t.Errorf("%s has no line %q:\n%s", file, line, page)
			}
		}
	}
	if page := string(pages(sample)["commands.md"]); strings.Contains(page, "### idp user\n") {
		t.Error("a command that only holds others has a part of its own")
	}
}

func TestSettle_TellsWhatIsOutOfDate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	if err := settle(path, []byte("a"), true); err == nil {
		t.Error("a page that is missing was taken")
	}
	if err := settle(path, []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	if err := settle(path, []byte("a"), true); err != nil {
		t.Error(err)
	}
	if err := settle(path, []byte("b"), true); err == nil {
		t.Error("a page that is out of date was taken")
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != "a" {
		t.Errorf("the page was changed: %q, %v", have, err)
	}
}
