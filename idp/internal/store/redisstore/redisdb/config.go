package redisdb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
)

// The bounds of a connection. A request waits a second and a half for Redis at the most, whatever became of it.
const (
	dialTimeout   = time.Second
	answerTimeout = 500 * time.Millisecond
	opTimeout     = 1500 * time.Millisecond
	poolSize      = 64 // connections to each node
	retries       = 2
)

const (
	flagURL      = "redis"
	passwordName = "redis-password"
	sentinelName = "redis-sentinel-password"
	flagCA       = "redis-ca-file"
)

// Config says where Redis is, and who we are there.
type Config struct {
	URL      string // redis[s]://…, redis[s]+sentinel://…, redis[s]+cluster://…; empty: there is none
	Password string // in place of the URL's
	Sentinel string // password at the sentinels, where they ask for one
	CAFile   string // certificates that sign the servers'; empty: the system's
}

// Flags adds the settings of a connection.
func Flags(f *pflag.FlagSet, envPrefix, usage string) {
	f.String(flagURL, "", usage+": redis://[USER@]HOST[:PORT][/DB], redis+sentinel://HOST,HOST/PRIMARY, redis+cluster://HOST,HOST; rediss… for TLS")
	config.SecretFlag(f, envPrefix, passwordName, "password at Redis")
	config.SecretFlag(f, envPrefix, sentinelName, "password at the sentinels, if they ask for one")
	f.String(flagCA, "", "certificates (PEM) of who signs those of Redis; the system's, if none is named")
}

// Read reads Flags. Errors: *config.Error.
func Read(f *pflag.FlagSet, envPrefix string) (c Config, err error) {
	text := func(name string) string { return f.Lookup(name).Value.String() }
	c = Config{URL: text(flagURL), CAFile: text(flagCA)}
	for name, to := range map[string]*string{passwordName: &c.Password, sentinelName: &c.Sentinel} {
		if text(name+"-file") == "" && os.Getenv(config.EnvName(envPrefix, name)) == "" {
			continue
		}
		if *to, err = config.Secret(f, envPrefix, name); err != nil {
			return c, err
		}
	}
	if c.URL != "" {
		_, err = c.options()
	}
	return c, err
}

// Redacted is a URL as it may be shown, also one that nothing can be reached by.
func Redacted(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	begin := 0
	scheme, _, _ := strings.Cut(text, "://")
	if _, known := kinds[scheme]; known {
		begin = len(scheme) + len("://")
	}
	user, _, secret := strings.Cut(text[begin:at], ":")
	if secret {
		user += ":xxxxx"
	}
	return text[:begin] + user + text[at:]
}

func wrong(why string) error { return &config.Error{Where: "--" + flagURL, Problem: why} }

// kinds are the ways of asking for servers.
var kinds = map[string]struct{ tls, sentinel, cluster bool }{
	"redis": {}, "rediss": {tls: true},
	"redis+sentinel": {sentinel: true}, "rediss+sentinel": {tls: true, sentinel: true},
	"redis+cluster": {cluster: true}, "rediss+cluster": {tls: true, cluster: true},
}

// options reads the URL. What is wrong with it is said without it: it may hold a password. Errors: *config.Error.
func (c Config) options() (*redis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(c.URL, "://")
	kind, known := kinds[scheme]
	if !known {
		return nil, wrong("begin it with redis://, redis+sentinel:// or redis+cluster://, or with rediss for TLS")
	}
	who := ""
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		who, rest = rest[:i+1], rest[i+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if strings.ContainsAny(rest, "?#") {
		return nil, wrong("write it without parameters")
	}
	o := &redis.UniversalOptions{SentinelPassword: c.Sentinel, IsClusterMode: kind.cluster}
	switch {
	case kind.sentinel:
		o.MasterName, path, _ = strings.Cut(path, "/")
		if o.MasterName == "" {
			return nil, wrong("name the primary that the sentinels watch: redis+sentinel://HOST,HOST/PRIMARY")
		}
	case kind.cluster && path != "":
		return nil, wrong("a cluster has one database: write no path")
	}
	port := ""
	if kind.sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		one, err := redis.ParseURL("redis://" + who + host + "/" + path)
		if err != nil || host == "" {
			return nil, wrong("write it as redis://[USER@]HOST[:PORT][/DB], several hosts separated by commas where there are several")
		}
		h, p, _ := net.SplitHostPort(one.Addr)
		if port != "" && !strings.HasSuffix(host, ":"+p) {
			p = port
		}
		o.Addrs, o.Username, o.Password, o.DB = append(o.Addrs, net.JoinHostPort(h, p)), one.Username, one.Password, one.DB
	}
	if len(o.Addrs) > 1 && !kind.sentinel && !kind.cluster {
		return nil, wrong("one server has one host; say redis+cluster or redis+sentinel")
	}
	if c.Password != "" {
		o.Password = c.Password
	}
	return o, c.bound(o, kind.tls)
}

// bound sets what every connection has.
func (c Config) bound(o *redis.UniversalOptions, secure bool) (err error) {
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout, answerTimeout, answerTimeout, answerTimeout
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize, o.MaxRetries, o.DialerRetries = poolSize, poolSize, -1, retries, 1
	o.MinRetryBackoff, o.MaxRetryBackoff, o.ContextTimeoutEnabled = 10*time.Millisecond, 100*time.Millisecond, true
	o.ConnMaxIdleTime, o.FailingTimeoutSeconds, o.ReadBufferSize, o.WriteBufferSize = 5*time.Minute, 1, 16<<10, 16<<10
	o.DisableIdentity = true // a command more that an access list would have to allow
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if !secure {
		if c.CAFile != "" {
			return &config.Error{Where: "--" + flagCA, Problem: "it is of use with rediss:// alone"}
		}
		return nil
	}
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return nil
	}
	if o.TLSConfig.RootCAs, err = authorities(c.CAFile); err != nil {
		return &config.Error{Where: "--" + flagCA, Problem: err.Error()}
	}
	return nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in it")
	}
	return pool, nil
}
