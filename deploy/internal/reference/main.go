package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is what a program says of itself: the JSON of its command reference.
type program struct {
	Name     string
	Commands []command
	Metrics  []metric
}

type command struct {
	Path, Use, Short, Long, Example string
	Runs                            bool
	Flags                           []setting
}

type setting struct {
	Name, Type, Default, Usage, Env, Secret string
	Global                                  bool
}

type metric struct {
	Name, Type, Help string
	Labels           []string
}

func main() {
	check := flag.Bool("check", false, "compare the pages with what would be written")
	root := flag.String("root", ".", "root of the checkout")
	flag.Parse()
	if err := run(context.Background(), *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, check bool) error {
	var programs []program
	for _, name := range []string{"idp", "caseservice"} {
		p, err := ask(ctx, root, name)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	var problems []error
	for file, page := range pages(programs) {
		problems = append(problems, settle(filepath.Join(root, "docs", "reference", file), page, check))
	}
	return errors.Join(problems...)
}

// ask runs a program of the checkout.
func ask(ctx context.Context, root, name string) (p program, err error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./"+name+"/cmd/"+name, "reference") //nolint:gosec // one of two names
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(out, &p); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	p.Name = name
	return p, nil
}

// settle writes a page, or says that it is out of date.
func settle(path string, page []byte, check bool) error {
	if !check {
		return os.WriteFile(path, page, 0o644) //nolint:gosec // a public document
	}
	have, err := os.ReadFile(path) //nolint:gosec // a path of this checkout
	if err == nil && !bytes.Equal(have, page) {
		err = fmt.Errorf("%s is out of date: run `go run ./deploy/internal/reference`", path)
	}
	return err
}
