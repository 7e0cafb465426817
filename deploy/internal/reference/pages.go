package main

import (
	"bytes"
	"fmt"
	"strings"
)

const written = "This page is written by `go run ./deploy/internal/reference`; the test script fails when it is out of date.\n"

// served are the commands that run as services: their flags are the configuration.
var served = []string{"idp serve", "caseservice serve", "caseservice portal"}

// pages renders every page: name → content.
func pages(programs []program) map[string][]byte {
	return map[string][]byte{"metrics.md": metricsPage(programs), "configuration.md": configurationPage(programs), "commands.md": commandsPage(programs)}
}

func metricsPage(programs []program) []byte {
	var b bytes.Buffer
	b.WriteString("# Metrics\n\nServed at `/metrics` of each private listener, in the Prometheus text format. " + written +
		"\nEvery label has few values: routes are templates, and what is not known is `other`. Times are in seconds.\n" +
		"Beside these there are `go_*` and `process_*` of the Go client library, and `go_build_info`, which names the version.\n" +
		"Metrics with labels appear once there is something to count. `caseservice_portal_*` are the portal's, the other `caseservice_*` the API's.\n")
	for _, p := range programs {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", p.Name)
		for _, m := range p.Metrics {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, codes(m.Labels), cell(m.Help))
		}
	}
	return b.Bytes()
}

func configurationPage(programs []program) []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\n" + written +
		"\nEvery setting is a flag. What the command line does not say comes from the environment, then from the YAML file that\n" +
		"`--config` names, whose keys are the flags without dashes before them; an unknown key is an error with its line.\n" +
		"A secret is never an argument: its flag names a file, or a second variable holds the secret itself.\n")
	for _, p := range programs {
		for _, c := range p.Commands {
			for _, s := range served {
				if c.Path == s {
					fmt.Fprintf(&b, "\n## %s\n\n", c.Path)
					settings(&b, c.Flags)
				}
			}
		}
	}
	return b.Bytes()
}

func settings(b *bytes.Buffer, flags []setting) {
	b.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n")
	for _, f := range flags {
		env := "`" + f.Env + "`"
		if f.Secret != "" {
			env += ", or the secret in `" + f.Secret + "`"
		}
		fmt.Fprintf(b, "| `--%s` %s | %s | %s | %s |\n", f.Name, f.Type, env, standard(f), cell(f.Usage))
	}
}

func commandsPage(programs []program) []byte {
	var b bytes.Buffer
	b.WriteString("# Commands\n\n" + written +
		"\nExit status: 0 it is done, 1 it failed, 2 the command line is wrong, 78 a setting is wrong. The flags of the services are in\n" +
		"[configuration.md](configuration.md); every flag may come from the environment or a file as told there.\n")
	for _, p := range programs {
		fmt.Fprintf(&b, "\n## %s\n", p.Name)
		for _, c := range p.Commands {
			describe(&b, c)
		}
	}
	return b.Bytes()
}

func describe(b *bytes.Buffer, c command) {
	root := !strings.Contains(c.Path, " ")
	switch {
	case root:
		fmt.Fprintf(b, "\n%s.\n\nEvery command takes:\n\n", strings.TrimSuffix(c.Short, "."))
		flagList(b, c.Flags, true)
		return
	case !c.Runs:
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n```\n%s\n```\n\n%s.\n", c.Path, c.Use, strings.TrimSuffix(c.Short, "."))
	if c.Long != "" {
		fmt.Fprintf(b, "\n%s\n", c.Long)
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.Example)
	}
	for _, s := range served {
		if c.Path == s {
			return
		}
	}
	flagList(b, c.Flags, false)
}

// flagList lists flags of a command alone, or those of every command.
func flagList(b *bytes.Buffer, flags []setting, global bool) {
	began := global
	for _, f := range flags {
		if f.Global != global {
			continue
		}
		if !began {
			b.WriteByte('\n')
			began = true
		}
		fmt.Fprintf(b, "* `--%s` %s: %s", f.Name, f.Type, f.Usage)
		if d := standard(f); d != "" {
			fmt.Fprintf(b, " (default %s)", d)
		}
		b.WriteByte('\n')
	}
}

// standard is the default of a flag, or "" where there is none.
func standard(f setting) string {
	if f.Default == "" || f.Default == "[]" {
		return ""
	}
	return "`" + strings.ReplaceAll(f.Default, "|", `\|`) + "`"
}

func codes(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// cell is text that a table can hold.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
