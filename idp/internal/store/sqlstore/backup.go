package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/witness"
)

// ErrDamaged is returned for a copy that is not whole.
var ErrDamaged = fault.New(fault.Conflict, "copy_damaged", "this file is not a whole backup")

// markCopy is run in a copy, so that nobody serves it unawares.
const markCopy = `INSERT INTO copies (at) SELECT coalesce(max(at), 0) FROM audit_events WHERE NOT EXISTS (SELECT 1 FROM copies)`

// Backup writes a consistent copy of a SQLite database into an empty file, while others go on, and marks it as one. Errors:
// sqldb.ErrServerBackup.
func (s *Store) Backup(ctx context.Context, path string) error {
	return s.db.CopyTo(ctx, path, markCopy)
}

// OpenCopy opens a copy for reading and leaves the file as it is.
func OpenCopy(ctx context.Context, path string) (*Store, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := sqldb.OpenCopy(ctx, path, sqldb.Options{Migrations: steps, Chain: auditChain{}})
	if err != nil {
		return nil, err
	}
	return newStore(db), nil
}

// Holdings is what a database holds.
type Holdings struct {
	Older    bool           `json:"older_schema,omitempty"` // than this program's: it is brought up to date before it is accepted
	Epoch    int64          `json:"epoch"`
	Accounts int64          `json:"accounts"`
	Clients  int64          `json:"clients"`
	Audit    witness.Report `json:"audit"`
	Heads    []Head         `json:"heads"`
}

// Head is where the chain of a writer ends.
type Head struct {
	Writer string `json:"writer"`
	Seq    int64  `json:"seq"`
	Hash   []byte `json:"hash"`
}

// CheckCopy looks at all of a copy: its pages, its schema and every chain of its audit, and says what it holds. An older schema
// is good if it knows of copies. Errors: ErrDamaged with what is wrong; ErrNewerSchema, ErrOlderSchema.
func (s *Store) CheckCopy(ctx context.Context) (h Holdings, err error) {
	wrong, err := s.db.Integrity(ctx)
	if err != nil {
		return h, ErrDamaged.Because(err)
	}
	if len(wrong) > 0 {
		return h, ErrDamaged.Because(errors.New(strings.Join(wrong[:min(len(wrong), 5)], "; ")))
	}
	if h.Older, err = s.older(ctx); err != nil {
		return h, err
	}
	if h.Audit, err = witness.Verify(ctx, s, nil); err != nil {
		return h, err
	}
	if !h.Audit.Whole() {
		return h, ErrDamaged.Because(h.Audit.Broken[0])
	}
	heads, err := s.Heads(ctx)
	if err != nil {
		return h, err
	}
	for _, e := range heads {
		h.Heads = append(h.Heads, Head{e.Writer, e.Seq, e.Hash[:]})
	}
	err = s.db.Row(ctx, `SELECT (SELECT max(n) FROM epochs), (SELECT count(*) FROM accounts), (SELECT count(*) FROM clients)`).Scan(&h.Epoch, &h.Accounts, &h.Clients)
	return h, err
}

// older reports whether the schema of a copy is one of an older release that made copies.
func (s *Store) older(ctx context.Context) (bool, error) {
	err := s.CheckSchema(ctx)
	if !errors.Is(err, ErrOlderSchema) {
		return false, err
	}
	if _, unknown := s.IsCopy(ctx); unknown != nil {
		return true, err
	}
	return true, nil
}

// String names the holdings in one line.
func (h Holdings) String() string {
	return fmt.Sprintf("epoch %d: %d accounts, %d clients, %d events of %d writers", h.Epoch, h.Accounts, h.Clients, h.Audit.Events, h.Audit.Writers)
}
