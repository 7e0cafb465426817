package config_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
)

// flags is a set with one flag of each kind, after the command line args.
func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.String(config.FileFlag, "", "")
	fs.String("database", "default", "")
	fs.Duration("drain", 0, "")
	fs.StringSlice("trusted-proxies", nil, "")
	config.SecretFlag(fs, "T", "kek", "a key")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoad_FlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	f := file(t, "database: file\ndrain: 3s\ntrusted-proxies: [10.0.0.0/8, 192.168.0.0/16]\n")
	for _, tc := range []struct {
		name, env, want string
		args            []string
	}{
		{"default", "", "default", nil},
		{"file", "", "file", []string{"--config", f}},
		{"environment", "env", "env", []string{"--config", f}},
		{"flag", "env", "flag", []string{"--config", f, "--database", "flag"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.env != "" {
				t.Setenv("T_DATABASE", tc.env)
			}
			fs := flags(t, tc.args...)
			if err := config.Load(fs, "T"); err != nil {
				t.Fatal(err)
			}
			if got := fs.Lookup("database").Value.String(); got != tc.want {
				t.Errorf("database = %q, want %q", got, tc.want)
			}
			if tc.args != nil {
				if l, _ := fs.GetStringSlice("trusted-proxies"); len(l) != 2 {
					t.Errorf("trusted-proxies = %q", l)
				}
			}
		})
	}
}

func TestLoad_NamesTheLineOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, line, says string }{
		{"unknown key", "drain: 1s\n\ndata-base: x\n", ":3", `unknown setting "data-base": did you mean database?`},
		{"twice", "drain: 1s\ndrain: 2s\n", ":2", "twice"},
		{"value", "# c\ndrain: soon\n", ":2", "soon"},
		{"nested", "database:\n  path: x\n", ":2", "one value"},
		{"list at the top", "- a\n", ":1", "name: value"},
		{"no file in a file", "config: other.yaml\n", ":1", "unknown setting"},
		{"no YAML", "a: [b\n", "", "line"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name := file(t, tc.text)
			err := config.Load(flags(t, "--config", name), "T")
			var e *config.Error
			if !errors.As(err, &e) || e.Where != name+tc.line || !strings.Contains(e.Problem, tc.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestLoad_NamesTheVariableOfWhatIsWrong(t *testing.T) {
	t.Setenv("T_DRAIN", "soon")
	var e *config.Error
	if err := config.Load(flags(t), "T"); !errors.As(err, &e) || e.Where != "T_DRAIN" {
		t.Errorf("%v", err)
	}
}

func TestLoad_FileThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	var e *config.Error
	if err := config.Load(flags(t, "--config", filepath.Join(t.TempDir(), "none")), "T"); !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
}

func TestKey_FromFileOrVariable(t *testing.T) {
	raw := []byte(strings.Repeat("k", config.KeySize-1) + "\xff")
	name := file(t, base64.StdEncoding.EncodeToString(raw)+"\n")
	if k, err := config.Key(flags(t, "--kek-file", name), "T", "kek"); err != nil || string(k) != string(raw) {
		t.Errorf("from a file: %x, %v", k, err)
	}
	t.Setenv("T_KEK", hex.EncodeToString(raw))
	if k, err := config.Key(flags(t), "T", "kek"); err != nil || string(k) != string(raw) {
		t.Errorf("from the variable: %x, %v", k, err)
	}
}

func TestKey_RefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"short": "c2hvcnQ=", "empty": "\n", "33 bytes": base64.StdEncoding.EncodeToString(make([]byte, 33)), "words": "correct horse battery staple"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e *config.Error
			if k, err := config.Key(flags(t, "--kek-file", file(t, text)), "UNSET", "kek"); !errors.As(err, &e) || k != nil {
				t.Errorf("%x, %v", k, err)
			}
		})
	}
	var e *config.Error
	if _, err := config.Key(flags(t), "UNSET", "kek"); !errors.As(err, &e) || !strings.Contains(e.Problem, "UNSET_KEK") {
		t.Errorf("neither file nor variable: %v", err)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("c2hvcnQ=")
	f.Add(hex.EncodeToString(make([]byte, 32)))
	f.Add(base64.URLEncoding.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, text string) {
		if k, ok := config.ParseKey(text); ok && len(k) != config.KeySize {
			t.Errorf("%d bytes accepted", len(k))
		}
	})
}
