package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Binaries are the paths of what was built.
type Binaries struct{ IDP, CaseService string }

// Dir is the folder that they lie in.
func (b Binaries) Dir() string { return filepath.Dir(b.IDP) }

// Root returns the checkout that dir lies in: the nearest folder upwards with a go.work.
func Root(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.work")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s lies in no checkout: there is no go.work in it or above it", dir)
		}
	}
}

// Build builds the binaries of the checkout at root with the go command, as they are released: without cgo, each module by
// itself. They are kept in .artifacts/bin below root; when nothing changed, that costs a fraction of a second. progress is
// told what the go command says.
func Build(ctx context.Context, root string, progress io.Writer) (Binaries, error) {
	dir := filepath.Join(root, ".artifacts", "bin")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Binaries{}, err
	}
	unlock, err := Lock(ctx, filepath.Join(dir, ".lock"), true)
	if err != nil {
		return Binaries{}, err
	}
	defer unlock()
	b := Binaries{IDP: executable(dir, "idp"), CaseService: executable(dir, "caseservice")}
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { errs[0] = goBuild(ctx, filepath.Join(root, "idp"), "./cmd/idp", b.IDP, progress) })
	wg.Go(func() {
		errs[1] = goBuild(ctx, filepath.Join(root, "caseservice"), "./cmd/caseservice", b.CaseService, progress)
	})
	wg.Wait()
	return b, errors.Join(errs[:]...)
}

// goBuild leaves version stamping out: it would link anew after every commit.
func goBuild(ctx context.Context, module, pkg, out string, progress io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", out, pkg) //nolint:gosec // paths of this checkout
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var said bytes.Buffer
	cmd.Stderr = io.MultiWriter(&said, progress)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
