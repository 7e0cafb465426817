package telemetry_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"ellis.example/idp/internal/telemetry"
)

func TestRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(ourKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		args  string
		wrong string // the flag that is named
	}{
		{"", ""}, {"--otlp-endpoint=http://127.0.0.1:4318 --trace-ratio=0.25 --trace-key-file=" + file, ""}, {"--otlp-endpoint=https://collector.example/base", ""},
		{"--otlp-endpoint=127.0.0.1:4318", "--otlp-endpoint"}, {"--otlp-endpoint=ftp://h", "--otlp-endpoint"}, {"--otlp-endpoint=http://u:canary@h", "--otlp-endpoint"},
		{"--otlp-endpoint=http://h/?", "--otlp-endpoint"}, {"--otlp-endpoint=http://h/?a=b", "--otlp-endpoint"}, {"--otlp-endpoint=http:///v1", "--otlp-endpoint"},
		{"--trace-ratio=-0.1", "--trace-ratio"}, {"--trace-ratio=1.1", "--trace-ratio"}, {"--trace-ratio=NaN", "--trace-ratio"},
		{"--trace-key-file=/does/not/exist", "--trace-key-file"}, {"--trace-key-file=settings_test.go", "--trace-key-file"},
	} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		telemetry.Flags(fs, "NOBODY")
		if err := fs.Parse(strings.Fields(x.args)); err != nil {
			t.Fatal(err)
		}
		c, err := telemetry.Read(fs, "NOBODY")
		switch {
		case x.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), x.wrong+": ") || strings.Contains(err.Error(), "canary")):
			t.Errorf("%s: %v", x.args, err)
		case x.wrong == "" && err != nil:
			t.Errorf("%s: %v", x.args, err)
		case strings.Contains(x.args, file) && (string(c.Key) != string(ourKey) || c.Ratio != 0.25 || c.Endpoint != "http://127.0.0.1:4318"):
			t.Errorf("%+v", c)
		case x.args == "" && (c.Endpoint != "" || c.Ratio != 1 || c.Key != nil):
			t.Errorf("by default %+v", c)
		}
	}
}
