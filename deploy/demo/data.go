package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ellis.example/deploy/internal/launch"
)

// data is the folder of a demo.
type data struct {
	dir       string
	temporary bool
	unlock    func()
	state     state
}

// state is what the demo knows of what it made, in demo.json. It holds passwords; only the owner can read it.
type state struct {
	Seeded    time.Time         `json:"seeded"` // zero: not finished, and everything is made anew
	People    []person          `json:"people"`
	Unclaimed []unclaimed       `json:"unclaimed"`
	Secrets   map[string]string `json:"client_secrets"`
	Databases string            `json:"databases,omitempty"` // begins the names of those on a server; empty: files
}

type person struct {
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	TOTPSecret string   `json:"totp_secret"` // base32
	Receipts   []string `json:"receipts"`
}

type unclaimed struct {
	Receipt string `json:"receipt"`
	Code    string `json:"code"`
}

const stateFile = "demo.json"

// openData opens a folder of an earlier demo, or makes one. Another demo that uses it, and a folder that is something
// else, are errors.
func openData(ctx context.Context, dir string) (*data, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &data{dir: dir}
	if err := d.recognise(); err != nil {
		return nil, err
	}
	if d.unlock, err = launch.Lock(ctx, filepath.Join(dir, ".lock"), false); err != nil {
		if errors.Is(err, launch.ErrLocked) {
			err = fmt.Errorf("another demo runs over %s: stop it, or choose another folder with --data-dir", dir)
		}
		return nil, err
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// openTemporary makes a folder that close removes.
func openTemporary(ctx context.Context) (*data, error) {
	dir, err := os.MkdirTemp("", "ellis-demo-")
	if err != nil {
		return nil, err
	}
	d, err := openData(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	d.temporary = true
	return d, nil
}

// recognise refuses a folder with somebody else's files: a demo that begins anew removes what it thinks its own.
func (d *data) recognise() error {
	list, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == stateFile || e.Name() == ".lock" {
			return nil
		}
	}
	if len(list) > 0 {
		return fmt.Errorf("%s holds other things than a demo's: name an empty folder with --data-dir", d.dir)
	}
	return nil
}

// load reads the state. What an interrupted start left behind is removed.
func (d *data) load() error {
	text, err := os.ReadFile(d.path(stateFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &d.state); err != nil {
			return fmt.Errorf("%s: %w", d.path(stateFile), err)
		}
	}
	if d.state.Seeded.IsZero() {
		if err := d.empty(); err != nil {
			return err
		}
		d.state = state{Secrets: map[string]string{}, Databases: d.state.Databases}
	}
	if err := os.MkdirAll(d.logs(), 0o700); err != nil {
		return err
	}
	return d.save()
}

func (d *data) empty() error {
	list, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == ".lock" {
			continue
		}
		if err := os.RemoveAll(d.path(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// save writes the state so that it is there as a whole or as it was.
func (d *data) save() error {
	text, err := json.MarshalIndent(d.state, "", "  ")
	if err != nil {
		return err
	}
	return d.write(stateFile, string(text)+"\n")
}

// write writes a file that only the owner can read, as a whole.
func (d *data) write(name, text string) error {
	part := d.path(name + ".part")
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(part, d.path(name))
}

// close gives the folder back.
func (d *data) close() error {
	d.unlock()
	if d.temporary {
		return os.RemoveAll(d.dir)
	}
	return nil
}

func (d *data) path(name string) string { return filepath.Join(d.dir, name) }

func (d *data) logs() string { return d.path("logs") }

// newPassword makes a password of 100 random bits that can be typed.
func newPassword() string {
	text := strings.ToLower(rand.Text())[:20]
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:]
}

// newTOTPSecret makes a seed of 160 bits, as RFC 4226 §4 recommends.
func newTOTPSecret() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // it never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}
