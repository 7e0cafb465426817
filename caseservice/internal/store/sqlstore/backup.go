package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/sqldb"
)

// ErrDamaged is returned for a copy that is not whole.
var ErrDamaged = fault.New(fault.Conflict, "copy_damaged", "this file is not a whole backup")

// markCopy is run in a copy, so that nobody serves it unawares: neither this release, nor one that knows of no copies and was
// promised to work with this schema.
var markCopy = []string{
	`INSERT INTO copies (at) SELECT coalesce(max(at), 0) FROM ledger WHERE NOT EXISTS (SELECT 1 FROM copies)`,
	`DELETE FROM schema_steps`,
}

// Backup writes a consistent copy of a SQLite database into an empty file, while others go on, and marks it as one. Errors:
// sqldb.ErrServerBackup.
func (s *Store) Backup(ctx context.Context, path string) error {
	return s.db.CopyTo(ctx, path, markCopy...)
}

// OpenCopy opens a copy for reading and leaves the file as it is. Errors: those of Open.
func OpenCopy(ctx context.Context, path string) (*Store, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := sqldb.OpenCopy(ctx, path, sqldb.Options{Migrations: steps, Chain: ledgerChain{}})
	if err != nil {
		return nil, err
	}
	return &Store{db: db, watch: newWatch(clock.System{})}, nil
}

// Holdings is what a database holds.
type Holdings struct {
	Older  bool          `json:"older_schema,omitempty"` // than this program's: it is brought up to date before it is accepted
	Epoch  int64         `json:"epoch"`
	Cases  int64         `json:"cases"`
	Ledger ledger.Report `json:"ledger"`
	Last   time.Time     `json:"last,omitzero"` // of the last entry
}

// CheckCopy looks at all of a copy: its pages, its schema and every chain of its ledger, and says what it holds. An older schema
// is good if it knows of copies. Errors: ErrDamaged with what is wrong; ErrNewerSchema, sqldb.ErrOlderSchema.
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
	if h.Ledger, err = s.Verify(ctx); err != nil {
		return h, err
	}
	if h.Ledger.Broken != nil {
		return h, ErrDamaged.Because(h.Ledger.Broken)
	}
	if h.Last, err = s.LastEntry(ctx); err != nil {
		return h, err
	}
	err = s.db.Row(ctx, `SELECT (SELECT max(n) FROM epochs), (SELECT count(*) FROM cases)`).Scan(&h.Epoch, &h.Cases)
	return h, err
}

// older reports whether the schema of a copy is one of an older release that made copies.
func (s *Store) older(ctx context.Context) (bool, error) {
	err := s.db.CheckSchema(ctx)
	if !errors.Is(err, sqldb.ErrOlderSchema) {
		return false, err
	}
	if _, unknown := s.IsCopy(ctx); unknown != nil {
		return true, err
	}
	return true, nil
}

// LastEntry is when the last entry of the ledger was made; zero when there is none.
func (s *Store) LastEntry(ctx context.Context) (time.Time, error) {
	entries, err := s.Tail(ctx, nil, 1)
	if err != nil || len(entries) == 0 {
		return time.Time{}, err
	}
	return entries[0].At, nil
}

// String names the holdings in one line.
func (h Holdings) String() string {
	return fmt.Sprintf("epoch %d: %d cases, %d entries of %d writers", h.Epoch, h.Cases, h.Ledger.Records, h.Ledger.Writers)
}
