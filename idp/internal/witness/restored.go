package witness

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Restored is a database that somebody may have restored, and what is known of the time that it has lost.
type Restored struct {
	Database
	Lost
	Latest bool      // nothing is recorded behind the acceptance that began its epoch
	LostAt time.Time // when it was in use last, as the operator says; zero: nobody does
	Gap    string    // what is missing of what was lost, as far as anything shows it; "": nothing
}

// Copy is a log that knows whether it is a copy that nobody accepted.
type Copy interface {
	Log
	// IsCopy reports whether it is one.
	IsCopy(ctx context.Context) (bool, error)
}

// ReadLostAt reads when the database was in use last, which nobody knows but the operator; "" leaves it open. Errors: what is wrong
// with the time.
func (r *Restored) ReadLostAt(text string) (err error) {
	if text == "" {
		return nil
	}
	if r.LostAt, err = time.Parse(time.RFC3339, text); err != nil || r.LostAt.After(r.Now) {
		return errors.New("write a time that has been, as 2026-11-28T05:59:00Z")
	}
	if r.Until.After(r.LostAt.Add(Patience)) {
		return fmt.Errorf("the database was still in use at %s, as its record says", r.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// Doubt says why what is known may not be all that was lost, or "".
func (r *Restored) Doubt() string {
	if r.Gap != "" {
		return r.Gap
	}
	return r.silent(r.Lost)
}

// silent says that what tells may have stopped before the database was lost, or "".
func (r *Restored) silent(l Lost) string {
	if !r.LostAt.IsZero() {
		return l.Stopped(r.LostAt)
	}
	if why := l.Stopped(r.Now); why != "" {
		return why + ", where --lost-at does not say less"
	}
	return ""
}

// OnlySign reports whether a database was accepted already, nothing was lost since, and only that is not signed in every file.
// Where something was recorded behind the acceptance, some of that may have been lost: then an export has to have gone on with
// it. Errors: those of the log.
func (r *Restored) OnlySign(ctx context.Context, log Copy, f Files) (bool, error) {
	if r.Accepted == nil || len(r.Records) > 0 || r.silent(r.Lost) != "" {
		return false, nil
	}
	if !r.Latest && (r.Gap != "" || r.silent(Lost{Until: r.Exported}) != "") {
		return false, nil
	}
	if is, err := log.IsCopy(ctx); err != nil || is {
		return false, err
	}
	return f.Unsigned(ctx, log, r.Database)
}

// Shown reports whether anything shows that a database was restored. A server that was restored to a point in time has no mark:
// there, what was signed or exported is missing. Errors: those of the log.
func (r *Restored) Shown(ctx context.Context, log Copy, f Files) (bool, error) {
	if is, err := log.IsCopy(ctx); err != nil || is {
		return is, err
	}
	return f.SetBack(ctx, log, r.Database, r.Lost)
}
