package main

import (
	"bufio"
	"encoding/json"
	"os"
	"sync"
	"time"
)

// What a driver does.
const (
	opAuthorize = "authorize"
	opRedeem    = "redeem"
	opRefresh   = "refresh"
	opRevoke    = "revoke"
	opMachine   = "machine"
	opCase      = "case"
)

// record is one request and the answer that really came. A line without an answer was sent, and nobody knows what became of
// it.
type record struct {
	N      int       `json:"n"`
	Op     string    `json:"op"`
	Who    string    `json:"who,omitempty"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"`
	Status int       `json:"status,omitempty"` // 0: no answer
	Err    string    `json:"err,omitempty"`    // of the connection

	Code    string `json:"code,omitempty"`    // got by authorize, shown by redeem
	Shown   string `json:"shown,omitempty"`   // refresh token that was sent
	Refresh string `json:"refresh,omitempty"` // refresh token that came
	JTI     string `json:"jti,omitempty"`     // of the access token that came
	Subject string `json:"sub,omitempty"`     // of the ID token that came, or of the case that was read
	Wrong   string `json:"wrong,omitempty"`   // what no such answer may be like
}

// answered reports whether the answer says that what was asked is done.
func (r record) answered() bool { return r.Status >= 200 && r.Status < 400 && r.Wrong == "" }

// ledger is a file of records. Each is on disk before it counts.
type ledger struct {
	mu   sync.Mutex
	file *os.File
	n    int
	all  []record
}

func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // a path of ours
	return &ledger{file: f}, err
}

// write appends a record.
func (l *ledger) write(r record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	r.N = l.n
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(text, '\n')); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.all = append(l.all, r)
	return nil
}

// readLedger reads a file back, as the oracle does: from the disk, not from memory.
func readLedger(path string) (out []record, err error) {
	f, err := os.Open(path) //nolint:gosec // a path of ours
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, s.Err()
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// since returns what was written after the first n records.
func (l *ledger) since(n int) []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]record(nil), l.all[n:]...)
}
