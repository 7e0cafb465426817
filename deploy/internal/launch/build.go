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

// At are the binaries in a folder.
func At(dir string) Binaries {
	return Binaries{IDP: executable(dir, "idp"), CaseService: executable(dir, "caseservice")}
}

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
// told what is downloaded; what the compiler says is in the error.
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
	b := At(dir)
	var wg sync.WaitGroup
	var errs [2]error
	progress = &oneByOne{w: progress}
	wg.Go(func() { errs[0] = goBuild(ctx, filepath.Join(root, "idp"), "./cmd/idp", b.IDP, progress) })
	wg.Go(func() {
		errs[1] = goBuild(ctx, filepath.Join(root, "caseservice"), "./cmd/caseservice", b.CaseService, progress)
	})
	wg.Wait()
	return b, errors.Join(errs[:]...)
}

// Built are the binaries of the checkout that the working directory lies in. The first call of a process builds them.
var Built = sync.OnceValues(func() (Binaries, error) {
	root, err := Root(".")
	if err != nil {
		return Binaries{}, err
	}
	return Build(context.Background(), root, os.Stderr)
})

// goBuild leaves version stamping out: it would link anew after every commit.
func goBuild(ctx context.Context, module, pkg, out string, progress io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", out, pkg) //nolint:gosec // paths of this checkout
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	said := &buildOutput{progress: progress}
	cmd.Stderr = said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, bytes.TrimSpace(append(said.rest.Bytes(), said.line...)))
	}
	return nil
}

// oneByOne lets one write through at a time.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (o *oneByOne) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// buildOutput parts what the go command says: downloads are passed on, the rest is kept.
type buildOutput struct {
	progress io.Writer
	line     []byte
	rest     bytes.Buffer
}

// Write implements io.Writer.
func (b *buildOutput) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		b.line = append(b.line, line...)
		if !bytes.HasSuffix(b.line, []byte("\n")) {
			break
		}
		if bytes.HasPrefix(b.line, []byte("go: downloading ")) {
			_, _ = b.progress.Write(b.line) // nobody listens
		} else {
			_, _ = b.rest.Write(b.line) // it never fails
		}
		b.line = b.line[:0]
	}
	return len(p), nil
}
