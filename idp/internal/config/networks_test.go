package config_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
)

func TestNetworks_AreReadOrNamed(t *testing.T) {
	t.Parallel()
	read := func(args ...string) ([]netip.Prefix, error) {
		fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
		fs.StringSlice("proxies", nil, "")
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		return config.Networks(fs, "proxies")
	}
	if got, err := read("--proxies", "10.0.0.0/8,fd00::/8"); err != nil || !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}) {
		t.Error(got, err)
	}
	if got, err := read(); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	_, err := read("--proxies", "10.0.0.0/8,10.1.2.3")
	var e *config.Error
	if !errors.As(err, &e) || e.Where != "--proxies" || !strings.Contains(e.Problem, "10.1.2.3") {
		t.Error(err)
	}
}
