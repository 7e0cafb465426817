package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/lease"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/sqlstore"
)

// beside starts another provider of the same issuer over the same database, and returns the world as seen through it.
func (w *peopleWorld) beside(change func(*settings)) *peopleWorld {
	w.Helper()
	s, err := testSettings(w.issuer, w.file, w.clock, slog.New(slog.NewJSONHandler(w.log, nil)))
	w.must(err)
	s.relay = w.p.relay
	change(&s)
	p, err := assemble(w.Context(), s)
	w.must(err)
	srv := httptest.NewServer(p.public)
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}}
	w.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
		_ = p.close() // a test may have closed it before
	})
	other := *w.world
	other.p, other.http = p, &http.Client{Transport: tr, CheckRedirect: w.http.CheckRedirect}
	return &peopleWorld{&other, w.box}
}

// kekFile writes key-encryption keys as an operator does.
func kekFile(t *testing.T, keys ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	text := "# first seals\n"
	for i, k := range keys {
		text += fmt.Sprintf("\n2026-%d: %s\n", i, base64.StdEncoding.EncodeToString(k))
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rewrapReport is what `keys rewrap --json` prints.
type rewrapReport struct {
	Key    string
	Whole  bool
	Places []struct {
		Place                          string
		Values, Resealed, Left, Closed int
		Unopened                       []string
	}
}

// rewrap runs the command over the world's database.
func (w *world) rewrap(status int, args ...string) (r rewrapReport) {
	w.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"keys", "rewrap", "--json", "--database", "sqlite:" + w.file}, args...)
	if got := run(w.Context(), args, &out, &errs); got != status {
		w.Fatalf("%v: status %d, want %d: %s%s", args, got, status, out.String(), errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		w.Fatal(err, out.String())
	}
	return r
}

// sealedState is a digest of everything sealed.
func (w *world) sealedState() string {
	w.Helper()
	sum := sha256.New()
	rows, err := w.database().QueryContext(w.Context(), "SELECT id, sealed FROM signing_keys UNION ALL SELECT name, sealed FROM secrets UNION ALL SELECT id, sealed FROM totps ORDER BY 1")
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var sealed []byte
		w.must(rows.Scan(&id, &sealed))
		fmt.Fprintf(sum, "%s %x\n", id, sealed)
	}
	w.must(rows.Err())
	return hex.EncodeToString(sum.Sum(nil))
}

// bindAsBefore seals Ben's seed again as an earlier release bound it.
func (w *world) bindAsBefore(kek []byte) {
	w.Helper()
	s, err := seal.New(kek)
	w.must(err)
	var id, account string
	var sealed []byte
	w.must(w.database().QueryRowContext(w.Context(), "SELECT id, account, sealed FROM totps").Scan(&id, &account, &sealed))
	owner, older := factor.SeedOwner(id, account)
	seed, err := s.Open(sealed, owner)
	w.must(err)
	sealed, err = s.Seal(seed, older)
	w.must(err)
	w.exec("UPDATE totps SET sealed = ? WHERE id = ?", sealed, id)
}

func TestKEK_IsReplacedUnderLoadAndTheOldOneGoes(t *testing.T) {
	t.Parallel()
	newKEK := bytes.Repeat([]byte{8}, seal.KeySize)
	w := newPeople(t, func(s *settings) { s.kek = [][]byte{testKEK, newKEK} })
	w.bindAsBefore(testKEK)
	w.box.down.Store(true)
	w.browser().get("/signup").submit("email", "mia@example.org") // its mail is sealed under the old key, and waits
	old := w.tokens(ana, "web", "scope", "openid offline_access")

	second := w.beside(func(s *settings) { s.kek = [][]byte{newKEK, testKEK} })
	second.browser().get("/signup").submit("email", "nora@example.org")
	both := kekFile(t, newKEK, testKEK)
	before := w.sealedState()
	if r := w.rewrap(exitFailed, "--dry-run", "--kek-file", both); r.Whole || w.sealedState() != before {
		t.Errorf("a dry run changed something, or saw nothing to do: %+v", r)
	}
	r := w.rewrapUnderLoad(second, both)
	sealedAgain := 0
	for _, p := range r.Places {
		sealedAgain += p.Resealed
		if p.Values == 0 || p.Resealed == 0 || p.Left != 0 || p.Closed != 0 {
			t.Errorf("%+v", p)
		}
	}
	if !r.Whole {
		t.Error("something is left")
	}
	if n := w.number(`SELECT count(*) FROM audit_events WHERE CAST(body AS TEXT) LIKE '%"kek.rewrapped"%'`); n != len(r.Places) {
		t.Errorf("%d events of %d values in %d places", n, sealedAgain, len(r.Places))
	}
	w.must(errors.Join(w.p.close(), second.p.close()))

	alone := kekFile(t, newKEK)
	if r := w.rewrap(exitOK, "--dry-run", "--kek-file", alone); !r.Whole {
		t.Errorf("%+v", r)
	}
	w.opensEverything(newKEK, old)
}

// rewrapUnderLoad rewraps while two providers serve. No answer of theirs may fail.
func (w *peopleWorld) rewrapUnderLoad(second *peopleWorld, file string) rewrapReport {
	w.Helper()
	var n atomic.Int64
	stop, busy := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for _, one := range []*world{w.world, second.world, w.world, second.world} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := one.as("machine", "/token", map[string][]string{"grant_type": {"client_credentials"}, "scope": {"cases.read"}}); a.status != http.StatusOK {
					w.Errorf("under load: %d %s", a.status, a.body)
				}
				if n.Add(1) == 8 {
					close(busy)
				}
			}
		})
	}
	<-busy
	r := w.rewrap(exitOK, "--kek-file", file)
	close(stop)
	wg.Wait()
	return r
}

// opensEverything starts a provider with one key alone and uses whatever is sealed.
func (w *peopleWorld) opensEverything(kek []byte, old answer) {
	w.Helper()
	last := w.beside(func(s *settings) { s.kek = [][]byte{kek} })
	if p := last.browser().get("/account").signIn(ben); p.url.Path != "/account" {
		w.Errorf("the authenticator app's seed: %s", p.text())
	}
	if !verifies(last.published(), old.str("access_token")) {
		w.Error("another key signs")
	}
	again := last.refresh("web", old.str("refresh_token"))
	_, was := claims(old.str("access_token"))
	_, is := claims(again.str("access_token"))
	if again.status != http.StatusOK || was["sub"] == nil || is["sub"] != was["sub"] {
		w.Errorf("the secrets: %d %s, %v, %v", again.status, again.body, was["sub"], is["sub"])
	}
	w.box.down.Store(false)
	for leads := false; !leads; last.clock.Advance(lease.Patience) { // whoever sent mail before is silent now
		var err error
		leads, err = last.p.leader.Try(w.Context())
		w.must(err)
	}
	last.mailTo("mia@example.org")
	last.mailTo("nora@example.org")
}

func TestKEK_TheWrongOneChangesNothing(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	before, events := w.sealedState(), w.number("SELECT count(*) FROM audit_events")
	wrong := kekFile(t, bytes.Repeat([]byte{1}, seal.KeySize))
	password := filepath.Join(t.TempDir(), "password")
	w.must(os.WriteFile(password, []byte("violet kettle marches north"), 0o600))
	pepper := filepath.Join(t.TempDir(), "pepper")
	w.must(os.WriteFile(pepper, []byte(strings.Repeat("cd", 32)), 0o600))
	for _, args := range [][]string{
		{"serve", "--issuer", "https://id.example.org", "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--smtp-url", "smtp://127.0.0.1:1", "--mail-from", "x@example.org", "--pepper-file", pepper},
		{"keys", "rotate", "--emergency"},
		{"keys", "rewrap"},
		{"user", "unlock", ana, "--reason", "x"},
		{
			"user", "create", "--email", "x@example.org", "--given-name", "X", "--family-name", "Y", "--birth-date", "1990-02-03", "--country", "SE",
			"--password-file", password, "--pepper-file", pepper,
		},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), append(args, "--database", "sqlite:"+w.file, "--kek-file", wrong), &out, &errs)
		if status != exitConfig || !strings.Contains(errs.String(), "--kek-file") || !strings.Contains(errs.String(), "signing_keys") {
			t.Errorf("%v: status %d: %s", args[:2], status, errs.String())
		}
	}
	if w.sealedState() != before || w.number("SELECT count(*) FROM audit_events") != events {
		t.Error("something was written")
	}
}

func TestKEK_AKeyThatSealedOneSeedIsMissedAtTheStart(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	newKEK := bytes.Repeat([]byte{8}, seal.KeySize)
	both := kekFile(t, newKEK, testKEK)
	var sealed []byte
	w.must(w.database().QueryRowContext(t.Context(), "SELECT sealed FROM totps").Scan(&sealed))
	w.rewrap(exitOK, "--kek-file", both)
	w.exec("UPDATE totps SET sealed = ?", sealed) // as a replica with the old key alone would leave it
	s, err := testSettings(w.issuer, w.file, w.clock, slog.New(slog.DiscardHandler))
	w.must(err)
	s.kek = [][]byte{newKEK}
	p, err := assemble(t.Context(), s)
	var wrong *config.Error
	if !errors.As(err, &wrong) || !strings.Contains(wrong.Problem, "totps") {
		if err == nil {
			_ = p.close()
		}
		t.Errorf("started: %v", err)
	}
}

func TestKEK_WhatNoKeyOpensIsNamedAndKept(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	w.exec("UPDATE totps SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00'")
	var id string
	w.must(w.database().QueryRowContext(t.Context(), "SELECT id FROM totps").Scan(&id))
	newKEK := bytes.Repeat([]byte{8}, seal.KeySize)
	var before, after []byte
	w.must(w.database().QueryRowContext(t.Context(), "SELECT sealed FROM totps").Scan(&before))
	r := w.rewrap(exitFailed, "--kek-file", kekFile(t, newKEK, testKEK))
	w.must(w.database().QueryRowContext(t.Context(), "SELECT sealed FROM totps").Scan(&after))
	for _, p := range r.Places {
		if p.Place == "totps" && (p.Closed != 1 || len(p.Unopened) != 1 || p.Unopened[0] != id) {
			t.Errorf("%+v", p)
		}
	}
	if !bytes.Equal(before, after) {
		t.Error("it was overwritten")
	}
}

func TestKEK_ASealedValueOpensInItsOwnRowAlone(t *testing.T) {
	t.Parallel()
	w := newPeople(t)
	s, err := seal.New(testKEK)
	w.must(err)
	type value struct {
		owner  string
		sealed []byte
	}
	var all []value
	for _, place := range w.p.store.SealedPlaces() {
		list, err := w.p.store.SealedValues(t.Context(), place, "", 100)
		w.must(err)
		for _, v := range list {
			all = append(all, value{v.Owner, v.Value})
			if v.Older != "" {
				all = append(all, value{v.Older, nil})
			}
		}
	}
	opened := 0
	for _, at := range all {
		for _, v := range all {
			if _, err := s.Open(v.sealed, at.owner); err == nil {
				if opened++; v.owner != at.owner {
					t.Errorf("what is bound to %q opens as %q", v.owner, at.owner)
				}
			}
		}
	}
	if opened < 12 {
		t.Errorf("%d values opened where they belong", opened)
	}
	// Through the front door: Ben's seed in another row, of a person who has none.
	w.exec(`INSERT INTO totps (id, account, label, sealed, created_at, used_at) SELECT 'otp_moved', ?, '', sealed, created_at, 0 FROM totps`, w.people[ana])
	p := w.browser().get("/account").submit("identifier", ana, "password", pass)
	if p = p.submit("code", w.code()); p.status < http.StatusInternalServerError {
		t.Errorf("Ana with Ben's seed: %d at %s", p.status, p.url.Path)
	}
}

func TestKEKFile_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	good := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct{ text, says string }{
		"short":    {"# x\n\nabcd\n", "line 3"},
		"twice":    {good + "\nold: " + good, "line 2: this key is there twice"},
		"comments": {"# nothing", "no key"},
	} {
		_, errs, status := c.run(append([]string{"keys", "rewrap", "--kek-file", c.write(strings.ReplaceAll(name, " ", ""), tc.text)}, c.common...)...)
		if status != exitConfig || !strings.Contains(errs, tc.says) || strings.Contains(errs, good) {
			t.Errorf("%s: %d %s", name, status, errs)
		}
	}
	if _, errs, status := c.run(append([]string{"keys", "rewrap", "--kek-file", c.write("named", "2026: "+good+"\r\n")}, c.common...)...); status != exitOK {
		t.Errorf("%d %s", status, errs)
	}
}

// A replica with an old list of keys never leaves anything that the new list alone does not open: it follows where it has the
// key, and is refused where it has not.
func TestKEK_AReplicaWithAnOldListSealsNothingUnderTheKeyThatGoes(t *testing.T) {
	t.Parallel()
	newKEK := bytes.Repeat([]byte{8}, seal.KeySize)
	w := newPeople(t, func(s *settings) { s.kek = [][]byte{testKEK, newKEK} })
	behind := w.beside(func(s *settings) { s.kek = [][]byte{testKEK} })
	w.box.down.Store(true)
	w.must(errors.Join(w.p.kek.present(t.Context()), behind.p.kek.present(t.Context())))
	w.exec("UPDATE leases SET at = ?", time.Now().UnixMicro()) // commands live in the present
	both := kekFile(t, newKEK, testKEK)
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"keys", "rewrap", "--database", "sqlite:" + w.file, "--kek-file", both}, &out, &errs); status != exitFailed || !strings.Contains(errs.String(), behind.p.kek.id) || strings.Contains(errs.String(), w.p.kek.id) {
		t.Errorf("status %d: %s", status, errs.String())
	}
	behind.p.kek.leave(t.Context()) // as if it had been forgotten
	if r := w.rewrap(exitOK, "--kek-file", both); !r.Whole {
		t.Errorf("%+v", r)
	}
	for name, one := range map[string]*peopleWorld{"has the key": w, "has not": behind} {
		if p := one.browser().get("/signup").submit("email", "late@example.org"); p.status != http.StatusServiceUnavailable {
			t.Errorf("%s, and has not looked yet: %d", name, p.status)
		}
		err := one.p.kek.follow(t.Context())
		down := one.p.degraded(t.Context())
		if one == w && (err != nil || slices.Contains(down, "key-encryption key")) || one == behind && (!errors.Is(err, keyring.ErrKeyMissing) || !slices.Contains(down, "key-encryption key")) {
			t.Errorf("%s: %v, degraded %v", name, err, down)
		}
	}
	if p := w.browser().get("/signup").submit("email", "late@example.org"); p.status >= http.StatusInternalServerError {
		t.Errorf("who follows: %d", p.status)
	}
	if p := behind.browser().get("/signup").submit("email", "later@example.org"); p.status != http.StatusServiceUnavailable {
		t.Errorf("who has not the key: %d", p.status)
	}
	if r := w.rewrap(exitOK, "--dry-run", "--kek-file", kekFile(t, newKEK)); !r.Whole {
		t.Errorf("something is left under the old key: %+v", r)
	}
}

// Whoever serves says which keys it has until it ends, and then is waited for no more.
func TestKEK_AReplicaThatServesIsKnownUntilItEnds(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok(nil, "migrate", "up")
	ctx, end := context.WithCancel(t.Context())
	defer end()
	ended := make(chan int, 1)
	go func() {
		var out, errs bytes.Buffer
		ended <- run(ctx, append([]string{
			"serve", "--issuer", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--smtp-url", "smtp://127.0.0.1:1", "--mail-from", "x@example.org",
		}, append(c.common, append(c.kek(), c.pepper()...)...)...), &out, &errs)
	}()
	old, err := os.ReadFile(c.kek()[1])
	if err != nil {
		t.Fatal(err)
	}
	next := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{8}, seal.KeySize))
	rewrap := append([]string{"keys", "rewrap", "--kek-file", c.write("both", next+"\n"+string(old))}, c.common...)
	st, err := sqlstore.Open(t.Context(), c.common[1], sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	for n := 0; ; n++ {
		if known, err := st.Replicas(t.Context(), time.Now().Add(-time.Minute)); err == nil && len(known) == 1 {
			break
		} else if n == 200 {
			t.Fatalf("nobody knows of the replica that serves: %v %v", known, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, errs, status := c.run(rewrap...); status != exitFailed || !strings.Contains(errs, "is unknown to") {
		t.Errorf("%d %s", status, errs)
	}
	end()
	if status := <-ended; status != exitOK {
		t.Errorf("it ended with %d", status)
	}
	if _, errs, status := c.run(rewrap...); status != exitOK {
		t.Errorf("it has ended, and is waited for: %d %s", status, errs)
	}
}
