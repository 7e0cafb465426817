package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ellis.example/deploy/internal/launch"
)

const demoStart = 2 * time.Minute // a cold build included

// system is the running demo, as `demo --json` describes it.
type system struct {
	Issuer    string       `json:"issuer"`
	CaseAPI   string       `json:"case_api"`
	Portal    string       `json:"portal"`
	Mailbox   string       `json:"mailbox"`
	Admin     string       `json:"admin"`
	People    []seeded     `json:"people"`
	Unclaimed []paper      `json:"unclaimed"`
	Clients   []demoClient `json:"clients"`
	DataDir   string       `json:"data_dir"`

	root  string
	child *exec.Cmd
	said  *os.File // what the demo says on standard error

	mu     sync.Mutex
	papers []paper // cases that tests may claim
}

type seeded struct {
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	TOTPSecret string   `json:"totp_secret"`
	Receipts   []string `json:"receipts"`
}

// paper is what a paper notice carries.
type paper struct {
	Receipt string `json:"receipt"`
	Code    string `json:"code"`
}

type demoClient struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret"`
	RedirectURIs []string `json:"redirect_uris"`
}

// startDemo builds the demo and starts it as somebody at a shell would, but on free ports and in a temporary folder.
func startDemo() (*system, error) {
	root, err := launch.Root(".")
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, ".artifacts", "bin", "demo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "./demo")
	build.Dir = filepath.Join(root, "deploy")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	s := &system{root: root, child: exec.Command(bin, "--ephemeral", "--json")}
	if s.said, err = os.CreateTemp("", "ellis-e2e-demo-*.log"); err != nil {
		return nil, err
	}
	s.child.Dir, s.child.Stderr, s.child.SysProcAttr = root, s.said, bound()
	s.child.Env = launch.Environ()
	out, err := s.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.child.Start(); err != nil {
		return nil, err
	}
	if err := s.ready(out); err != nil {
		s.stop()
		return nil, err
	}
	s.papers = s.Unclaimed
	return s, nil
}

// ready waits for the one object that the demo prints when everything answers.
func (s *system) ready(out io.Reader) error {
	done := make(chan error, 1)
	go func() { done <- json.NewDecoder(out).Decode(s) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("it printed no JSON object (%w); it said:\n%s", err, launch.Tail(s.said.Name()))
		}
		return nil
	case <-time.After(demoStart):
		return fmt.Errorf("nothing after %s; it said:\n%s", demoStart, launch.Tail(s.said.Name()))
	}
}

// stop ends the demo, and everything that it started with it.
func (s *system) stop() {
	_ = s.child.Process.Signal(syscall.SIGTERM)
	_ = s.child.Wait()
	_ = s.said.Close()
	_ = os.Remove(s.said.Name())
}

// command runs a command of one of the services over the demo's data, with the environment that the demo leaves for
// shells, and returns what it prints.
func (s *system) command(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := s.run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *system) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `. "$0"/env && exec "$@"`, s.DataDir}, args...)...)
	cmd.Env = launch.Environ()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return out.Bytes(), nil
}

// notice hands out the paper notice of a case that nobody has claimed: a seeded one while there are any, else one that is
// imported for it.
func (s *system) notice(t *testing.T) paper {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.papers) == 0 {
		s.papers = append(s.papers, s.importCase(t))
	}
	p := s.papers[0]
	s.papers = s.papers[1:]
	secrets.add("receipt", p.Receipt)
	secrets.add("claim code", p.Code)
	return p
}

// importCase brings one more case into the case service, as its operator would.
func (s *system) importCase(t *testing.T) paper {
	t.Helper()
	file := filepath.Join(t.TempDir(), "case.jsonl")
	day := func(ago int) string { return time.Now().AddDate(0, 0, -ago).UTC().Format(time.RFC3339) }
	line := fmt.Sprintf(`{"form":"I-765","submitted":%q,"claimable":true,"events":[{"code":"received","at":%q},{"code":"biometrics_scheduled","at":%q}],`+
		`"appointments":[{"kind":"biometrics","at":%q,"place":"Riverton Application Support Center","address":"210 Harbor Street, Riverton"}]}`,
		day(40)[:10], day(30), day(5), day(-11))
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct {
		Cases []struct {
			Receipt string `json:"receipt"`
			Code    string `json:"claim_code"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(s.command(t, "caseservice", "case", "import", file, "--json"), &made); err != nil || len(made.Cases) != 1 {
		t.Fatalf("imported %+v (%v)", made, err)
	}
	return paper{made.Cases[0].Receipt, made.Cases[0].Code}
}
