package main

import (
	"bufio"
	"encoding/json"
	"io"
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

	opSignIn   = "sign-in"
	opSignOut  = "sign-out"            // of one session
	opLeave    = "sign-out everywhere" // of all sessions of a person
	opPassword = "password change"
	opSignUp   = "sign-up" // the mail that begins one
	opMail     = "mail"    // not asked for: what came to the mailbox
	opProve    = "address proof"
	opRegister = "registration"
	opConsent  = "consent"
	opGuess    = "guess" // a wrong password of somebody else
	opAssert   = "assertion"
	opFactor   = "second factor"
	opPage     = "page" // one that did not come as it should
)

// ops are all that go well at times. No guess does.
var ops = []string{
	opAuthorize, opRedeem, opRefresh, opRevoke, opMachine, opCase, opSignIn, opSignOut, opLeave, opPassword,
	opSignUp, opMail, opProve, opRegister, opConsent, opAssert, opFactor,
}

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

	Request string `json:"req,omitempty"`     // request id of the answer
	Session string `json:"session,omitempty"` // hash of the session cookie that was sent
	Next    string `json:"next,omitempty"`    // hash of the session cookie that came
	Secret  string `json:"secret,omitempty"`  // hash of the password that was sent
	Fresh   string `json:"fresh,omitempty"`   // hash of the password that is to be from now on
	Link    string `json:"link,omitempty"`    // hash of a mailed link
	Once    string `json:"once,omitempty"`    // jti of the client assertion, or time step of the code, that was sent
	Missed  string `json:"missed,omitempty"`  // where an answer leads that says that nothing was done
}

// answered reports whether the answer says that what was asked is done.
func (r record) answered() bool {
	return r.Status >= 200 && r.Status < 400 && r.Wrong == "" && r.Missed == ""
}

// writes reports whether the provider writes before it says that this is done.
func (r record) writes() bool { return r.Op == opRedeem || r.Op == opRefresh || r.Op == opMachine }

// unsure reports whether nobody knows what became of what was asked.
func (r record) unsure() bool { return r.Status == 0 || r.Status >= 500 }

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
	text, err := json.Marshal(r) //nolint:gosec // of passwords there are hashes
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

// reader reads a ledger back, as the oracle does: from the disk, not from memory, and each line once.
type reader struct {
	path   string
	offset int64
	all    []record
}

// read returns every record so far.
func (l *reader) read() ([]record, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	if _, err := f.Seek(l.offset, io.SeekStart); err != nil {
		return nil, err
	}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, err
		}
		l.all, l.offset = append(l.all, r), l.offset+int64(len(s.Bytes()))+1
	}
	return l.all, s.Err()
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
