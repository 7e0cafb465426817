package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/argon2"
	_ "modernc.org/sqlite"

	"ellis.example/deploy/internal/launch"
)

// yardstick is a piece of work that every operation contains in some number. prepare returns it, to be done over and over.
type yardstick struct {
	name    string
	prepare func(dir string) (func() error, error)
}

// yardsticks are those beside "http", which needs a server.
func yardsticks() []yardstick {
	return []yardstick{
		{"http", nil}, {"p256_sign", signBare}, {"p256_verify", verifyBare}, {"jws_sign", signJWS}, {"argon2id", hashPassword}, {"sqlite_commit", commitRow},
	}
}

// measureYardsticks returns the processor time of each, in microseconds.
func (b *bench) measureYardsticks(ctx context.Context) (map[string]float64, error) {
	out := map[string]float64{}
	for _, y := range yardsticks() {
		if y.prepare == nil {
			continue
		}
		do, err := y.prepare(b.dir)
		if err != nil {
			return nil, err
		}
		var best float64
		for range b.rounds {
			us, err := perCall(do, b.length/4)
			if err != nil {
				return nil, err
			}
			if best == 0 || us < best {
				best = us
			}
		}
		out[y.name] = best
	}
	var err error
	out["http"], err = b.bareHTTP(ctx)
	return out, err
}

// perCall is the processor time of one call, in microseconds.
func perCall(do func() error, length time.Duration) (float64, error) {
	began, n := ownTime(), 0
	for ownTime()-began < length {
		if err := do(); err != nil {
			return 0, err
		}
		n++
	}
	return float64((ownTime() - began).Nanoseconds()) / 1e3 / float64(n), nil
}

func signBare(string) (func() error, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	digest := sha256.Sum256([]byte("yardstick"))
	return func() error { _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); return err }, err
}

func verifyBare(string) (func() error, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("yardstick"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	return func() error {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			return errors.New("a good signature does not verify")
		}
		return nil
	}, err
}

// signJWS signs what is about as large as the claims of an access token.
func signJWS(string) (func() error, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	payload := make([]byte, 400)
	return func() error {
		jws, err := s.Sign(payload)
		if err == nil {
			_, err = jws.CompactSerialize()
		}
		return err
	}, err
}

// yardstickCommand does what a yardstick asks of a process of its own, if args do, and returns its exit status.
func yardstickCommand(args []string) (status int, is bool) {
	if len(args) != 3 {
		return 0, false
	}
	var err error
	switch args[1] {
	case bareCommand:
		err = serveBare(args[2])
	case hashCommand:
		err = tellHashes(args[2], os.Stdout)
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// hashCommand makes this program hash for so long in place of being the benchmark, and tell the processor time of one hash in
// microseconds.
const hashCommand = "bare-hashes"

func tellHashes(length string, to io.Writer) error {
	d, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	do, err := hashPassword("")
	if err != nil {
		return err
	}
	us, err := perCall(do, d)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(to, us)
	return err
}

// bareHash is the processor time of one hash on the core of the servers, in microseconds.
func (b *bench) bareHash(ctx context.Context, length time.Duration) (us float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	spec := b.cores.own(launch.Spec{Path: self, Args: []string{hashCommand, length.String()}})
	out, err := exec.CommandContext(ctx, spec.Path, spec.Args...).Output() //nolint:gosec // this program
	if err == nil {
		_, err = fmt.Sscan(string(out), &us)
	}
	return us, err
}

// hashPassword costs what the provider's passwords do.
func hashPassword(string) (func() error, error) {
	return func() error {
		_ = argon2.IDKey([]byte("yardstick"), []byte("sixteen bytes of"), 2, 19*1024, 1, 32)
		return nil
	}, nil
}

// commitRow makes a row durable, in the way that both services do.
func commitRow(dir string) (func() error, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "yardstick.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, `CREATE TABLE rows (body BLOB)`); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO rows (body) VALUES (?)`) //nolint:sqlclosecheck // until the end of the process
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	row := make([]byte, 400)
	return func() error { _, err := insert.ExecContext(ctx, row); return err }, nil
}

const hello = "hello\n"

// bareCommand makes this program the bare server in place of the benchmark.
const bareCommand = "bare-http-server"

// serveBare answers everything with a few bytes until the process is ended.
func serveBare(addr string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, hello) // the client may be gone
	})}
	return srv.Serve(l)
}

// bareHTTP is what net/http costs by itself.
func (b *bench) bareHTTP(ctx context.Context) (float64, error) {
	var ports launch.Ports
	port, err := ports.Free()
	ports.Release()
	if err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	g := launch.NewGroup(b.dir)
	defer g.Stop()
	p, err := g.Start(b.cores.own(launch.Spec{Name: "bare", Path: self, Args: []string{bareCommand, launch.Loopback(port)}, Ready: "http://" + launch.Loopback(port)}))
	if err != nil {
		return 0, err
	}
	if err := p.Ready(ctx); err != nil {
		return 0, err
	}
	workers := make([]worker, b.workers)
	for i := range workers {
		c := newConn(port, "localhost")
		defer c.close() //nolint:revive // all of them are in use until the end
		workers[i] = again(c, c.request("GET", "/", nil), hello)
	}
	rounds, err := b.measureRounds(ctx, workers, b.length, func() usage { return usage{server: launch.CPU(p.Pid, false)} }, nil, nil)
	if err != nil {
		return 0, err
	}
	return median(rounds, func(r *round) float64 { return r.per(r.cpu.server) }), nil
}
