package telemetry

import (
	"net/url"
	"os"

	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
)

const (
	flagEndpoint = "otlp-endpoint"
	flagRatio    = "trace-ratio"
	keyName      = "trace-key"
)

// Config says where traces go and which ones there are.
type Config struct {
	Endpoint string  // base URL of a collector that takes OTLP over HTTP; empty: there are no traces
	Ratio    float64 // share of the traces begun here that are kept, from 0 to 1
	Key      []byte  // 256 bits that our services share: they join each other's traces by it; nil: nobody's are joined
}

// Flags adds the settings of traces.
func Flags(f *pflag.FlagSet, envPrefix string) {
	f.String(flagEndpoint, "", "collector that traces are sent to by OTLP over HTTP, such as http://127.0.0.1:4318; none are made, if it is empty")
	f.Float64(flagRatio, 1, "share of the requests of which a trace is kept, from 0 to 1; a request of another service of ours goes with the one that caused it")
	config.SecretFlag(f, envPrefix, keyName, "key by which our services join each other's traces, 32 random bytes, the same for all of them; without it each one's stand alone")
}

// Read reads Flags. Errors: *config.Error.
func Read(f *pflag.FlagSet, envPrefix string) (c Config, err error) {
	c.Endpoint = f.Lookup(flagEndpoint).Value.String()
	if c.Ratio, err = f.GetFloat64(flagRatio); err != nil {
		return c, err
	}
	if !(c.Ratio >= 0 && c.Ratio <= 1) { // so that NaN is none
		return c, &config.Error{Where: "--" + flagRatio, Problem: "write a number from 0 to 1"}
	}
	if c.Endpoint != "" && !plainURL(c.Endpoint) {
		// What was written is not shown: it may hold a password.
		return c, &config.Error{Where: "--" + flagEndpoint, Problem: "write a URL without user and query, such as http://127.0.0.1:4318"}
	}
	if f.Lookup(keyName+"-file").Value.String() != "" || os.Getenv(config.EnvName(envPrefix, keyName)) != "" {
		c.Key, err = config.Key(f, envPrefix, keyName)
	}
	return c, err
}

func plainURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}
