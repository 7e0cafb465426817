//go:build pkcs11

package pkcs11_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThalesGroup/crypto11"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/keyring/pkcs11"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
)

const pin = "8642"

// module is where Debian puts SoftHSM.
var module string

// TestMain gives SoftHSM a folder of its own: it reads its settings once in a process.
func TestMain(m *testing.M) {
	os.Exit(inFolder(m))
}

func inFolder(m *testing.M) int {
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			module = path
		}
	}
	dir, err := os.MkdirTemp("", "softhsm-")
	if err == nil {
		defer os.RemoveAll(dir)
		conf := filepath.Join(dir, "softhsm2.conf")
		err = errors.Join(os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nlog.level = ERROR\n"), 0o600), os.Setenv("SOFTHSM2_CONF", conf))
	}
	if err == nil {
		var out []byte
		if out, err = exec.Command("softhsm2-util", "--init-token", "--free", "--label", "ellis", "--pin", pin, "--so-pin", "975310").CombinedOutput(); err != nil {
			err = fmt.Errorf("softhsm2 is needed: %w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func open(t *testing.T) *pkcs11.Token {
	t.Helper()
	tok, err := pkcs11.Open(module, "ellis", pin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	})
	return tok
}

type claims struct {
	Sub string `json:"sub"`
}

func TestToken_KeysAreMadeRotatedAndDestroyedInIt(t *testing.T) {
	clk := clock.NewFake(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	s, err := seal.New(bytes.Repeat([]byte{3}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	st := sqltest.Open(t, clk)
	ring := func() *keyring.Ring {
		return keyring.New(keyring.Deps{Store: st, Commit: st, Seal: s, Clock: clk, External: open(t)})
	}
	r := ring()
	if err := r.Ensure(t.Context(), "PS256"); err != nil {
		t.Fatal(err)
	}
	restarted := ring()
	var old string
	for _, alg := range []string{"RS256", "PS256", "ES256"} {
		if old, err = r.Sign(t.Context(), alg, "at+jwt", claims{alg}); err != nil {
			t.Fatal(err)
		}
		if got, err := restarted.Verify(t.Context(), old, "at+jwt"); err != nil || string(got) != `{"sub":"`+alg+`"}` {
			t.Errorf("%s: %s, %v", alg, got, err)
		}
	}
	held(t, s, st.Keys)
	clk.Advance(keyring.PublishedFor)
	if err := r.Rotate(t.Context(), "ES256", false); err != nil {
		t.Fatal(err)
	}
	if _, err := restarted.Verify(t.Context(), old, "at+jwt"); err != nil {
		t.Error(err)
	}
	clk.Advance(keyring.RetiringFor)
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(t.Context(), "PS256", true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Sign(t.Context(), "ES256", "at+jwt", claims{"x"}); err != nil {
		t.Error(err)
	}
	held(t, s, st.Keys)
	if err := r.Ensure(t.Context(), "EdDSA"); !errors.Is(err, keyring.ErrAlgorithm) {
		t.Errorf("EdDSA: %v", err)
	}
}

func TestToken_SignsInParallelAndConnectsAgain(t *testing.T) {
	tok := open(t)
	if _, err := tok.Create(t.Context(), "one", "ES256"); err != nil {
		t.Fatal(err)
	}
	digest := bytes.Repeat([]byte{5}, 32)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if sig, err := tok.Sign(t.Context(), "one", digest, nil); err != nil || len(sig) < 64 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := tok.Close(); err != nil { // as a connection that was lost
		t.Fatal(err)
	}
	if _, err := tok.Sign(t.Context(), "one", digest, nil); err != nil {
		t.Error(err)
	}
	if _, err := tok.Sign(t.Context(), "none", digest, nil); err == nil {
		t.Error("a pair that is not there signs")
	}
	for range 2 { // the second finds nothing
		if err := tok.Destroy(t.Context(), "one"); err != nil {
			t.Error(err)
		}
	}
}

func TestOpen_WrongPINAndTokenAreErrors(t *testing.T) {
	for _, c := range []struct{ module, label, pin string }{{module, "ellis", "0000"}, {module, "none", pin}, {"/nowhere.so", "ellis", pin}} {
		if tok, err := pkcs11.Open(c.module, c.label, c.pin); err == nil {
			t.Errorf("%+v: opened %s", c, tok.Name())
		} else if strings.Contains(err.Error(), c.pin) {
			t.Errorf("the PIN is in: %v", err)
		}
	}
}

// held compares what is in the token with what is of use, and looks at what protects it.
func held(t *testing.T, s *seal.Sealer, keys func(context.Context) ([]keyring.Key, error)) {
	t.Helper()
	ctx, err := crypto11.Configure(&crypto11.Config{Path: module, TokenLabel: "ellis", Pin: pin})
	if err != nil {
		t.Fatal(err)
	}
	defer ctx.Close()
	list, err := keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		pair, err := ctx.FindKeyPair(nil, []byte(k.ID))
		if k.State == keyring.Retired || k.State == keyring.Discarded {
			if err == nil && pair != nil {
				t.Errorf("%s is %s and still in the token", k.ID, k.State)
			}
			continue
		}
		if err != nil || pair == nil {
			t.Fatalf("%s is not in the token: %v", k.ID, err)
		}
		for name, want := range map[crypto11.AttributeType]byte{crypto11.CkaSensitive: 1, crypto11.CkaExtractable: 0, crypto11.CkaDecrypt: 0, crypto11.CkaSign: 1} {
			if a, err := ctx.GetAttribute(pair, name); err != nil || len(a.Value) != 1 || a.Value[0] != want {
				t.Errorf("%s: attribute %d is %v, %v", k.ID, name, a, err)
			}
		}
		plain, err := s.Open(k.Sealed, keyring.KeyOwner(k.ID, k.Alg))
		if err != nil || string(plain) != "external\x00pkcs11:token=ellis" {
			t.Errorf("%s: %d bytes are kept, %v", k.ID, len(plain), err)
		}
	}
}
