package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/sqldb"
)

// Reads by key are not interrupted: they take microseconds, and a context that can end costs the driver a goroutine each.

// File implements cases.Reader.
func (s *Store) File(ctx context.Context, sub, id string) (cases.File, bool, error) {
	return s.fileBy(ctx, selectFile, sub, id)
}

// FileByReceipt implements cases.Reader.
func (s *Store) FileByReceipt(ctx context.Context, sub string, r paper.Receipt) (cases.File, bool, error) {
	return s.fileBy(ctx, selectFileByReceipt, sub, string(r))
}

func (s *Store) fileBy(ctx context.Context, by string, sub, key string) (f cases.File, ok bool, err error) {
	files, err := s.files(ctx, by, sub, key)
	if err != nil || len(files) == 0 {
		return f, false, err
	}
	return files[0], true, nil
}

// files runs a statement that returns cases, one row for each appointment or one without: a second question for them
// would cost as much as the first.
func (s *Store) files(ctx context.Context, query string, args ...any) ([]cases.File, error) {
	rows, err := collect(ctx, s.db, query, scanFile, args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	out := rows[:0]
	for _, f := range rows {
		if n := len(out); n > 0 && out[n-1].ID == f.ID {
			out[n-1].Appointments = append(out[n-1].Appointments, f.Appointments...)
			continue
		}
		out = append(out, f)
	}
	for i := range out {
		slices.SortFunc(out[i].Appointments, func(a, b cases.Appointment) int {
			return cmp.Or(a.StartsAt.Compare(b.StartsAt), strings.Compare(a.ID, b.ID))
		})
	}
	return out, nil
}

// List implements cases.Reader.
func (s *Store) List(ctx context.Context, sub string, after cases.Position, limit int) ([]cases.File, error) {
	at := int64(math.MaxInt64)
	if after.ID != "" {
		at = after.UpdatedAt.UnixMicro()
	}
	return s.files(ctx, selectList, sub, at, at, after.ID, limit)
}

// Events implements cases.Reader.
func (s *Store) Events(ctx context.Context, caseID string, after int64, limit int) ([]cases.Event, error) {
	return collect(ctx, s.db, selectEvents, func(scan scanner) (e cases.Event, err error) {
		var at int64
		err = scan(&e.Seq, &e.ID, &e.Code, &at)
		e.At = time.UnixMicro(at).UTC()
		return e, err
	}, caseID, after, limit)
}

// Counts implements cases.Reader.
func (s *Store) Counts(ctx context.Context) ([]cases.Count, error) {
	return collect(ctx, s.db, selectCounts, func(scan scanner) (c cases.Count, err error) {
		err = scan(&c.Form, &c.Stage, &c.N)
		return c, err
	})
}

// Ended returns the cases without an owner whose claim code ended unused.
func (s *Store) Ended(ctx context.Context, now time.Time) ([]string, error) {
	return collect(ctx, s.db, selectEnded, func(scan scanner) (id string, err error) {
		err = scan(&id)
		return id, err
	}, now.UnixMicro())
}

// Key implements cases.ClaimReader.
func (s *Store) Key(ctx context.Context, k cases.Key, now time.Time) (r cases.Remembered, ok bool, err error) {
	var at int64
	err = s.db.Row(context.WithoutCancel(ctx), selectKey, k.Sub, k.Hash[:], now.Add(-cases.KeyLife).UnixMicro()).
		Scan(&r.Request, &r.Done, &r.Outcome.CaseID, &r.Outcome.Fault, &at)
	r.At = time.UnixMicro(at).UTC()
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// Waits implements cases.ClaimReader.
func (s *Store) Waits(ctx context.Context, sub string, receiptMAC []byte, now time.Time) (person, receipt time.Duration, err error) {
	ctx = context.WithoutCancel(ctx)
	wait, err := paused(s.db.Row(ctx, claimsFrom).Scan, now)
	if err == nil && wait > 0 {
		err = epoch.ErrPaused.After(wait)
	}
	if err != nil {
		return 0, 0, err
	}
	var n, since, notBefore int64
	if err := s.db.Row(ctx, selectTries, sub).Scan(&n, &since); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, err
	}
	if n >= cases.MaxTries {
		person = max(0, time.UnixMicro(since).Add(cases.TryWindow).Sub(now))
	}
	if err := s.db.Row(ctx, selectBackoff, receiptMAC).Scan(&notBefore); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, err
	}
	return person, max(0, time.UnixMicro(notBefore).Sub(now)), nil
}

type scanner func(into ...any) error

// scanFile reads a row: a case with one of its appointments, or with none.
func scanFile(scan scanner) (f cases.File, err error) {
	var since, updated, starts, offset int64
	var a cases.Appointment
	// What is no plain string would be set by reflection, and what is no int64 by way of a text.
	err = scan(&f.ID, (*string)(&f.Receipt), &f.Form, &f.Status, &f.Stage, &since, (*string)(&f.SubmittedOn), &updated, (*string)(&f.Until), (*string)(&f.UntilKind), (*string)(&f.Relationship),
		&a.ID, &a.Kind, (*string)(&a.State), &starts, &offset, &a.Place, &a.Address)
	f.StatusSince, f.UpdatedAt = time.UnixMicro(since).UTC(), time.UnixMicro(updated).UTC()
	if a.ID != "" {
		a.StartsAt = time.UnixMicro(starts).In(time.FixedZone("", int(offset)))
		f.Appointments = []cases.Appointment{a}
	}
	return f, err
}

// collect runs a constant query and scans each row.
func collect[T any](ctx context.Context, db *sqldb.DB, query string, scan func(scanner) (T, error), args ...any) (out []T, err error) {
	err = db.Rows(context.WithoutCancel(ctx), func(row func(...any) error) error {
		one, err := scan(row)
		out = append(out, one)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}
