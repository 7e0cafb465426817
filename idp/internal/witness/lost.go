package witness

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"ellis.example/idp/internal/chain"
)

// Acceptance is a record that accepted a restored database, and with it that something was lost.
type Acceptance struct {
	Writer string
	Seq    int64
	Epoch  int64
	At     time.Time
	Knew   bool // it knew all that was lost: nobody had to choose
	Read   Mark // of the export from which it knew that; zero: of none
}

// tookBack reports whether a checkpoint is of the time before an acceptance: what it knows beyond was lost, and accepted so.
func (a *Acceptance) tookBack(c Checkpoint) bool {
	if a == nil || !c.At.Before(a.At) {
		return false
	}
	return !slices.ContainsFunc(c.Heads, func(h chain.Head) bool { return h.Writer == a.Writer && h.Seq >= a.Seq })
}

// Database is a restored database, as its records are.
type Database struct {
	Heads    []chain.Head
	Last     time.Time   // of its last record
	Accepted *Acceptance // that began its epoch; nil: it is in its first
	Now      time.Time
}

// Tell reads in a record when it was made and, if it accepted a restored database, that.
type Tell func(chain.Record) (time.Time, *Acceptance, error)

// Lost is what an export tells of the time that a database does not know.
type Lost struct {
	Records []chain.Record // that the database lacks, in the order in which they were exported
	Until   time.Time      // up to when the two know something
	Read    Mark           // of the export
	// Exported is up to when the export goes on behind the acceptance that began the epoch of the database; zero: it does not.
	Exported time.Time

	ends  map[string]int64 // where each writer ends that the two know
	doubt string           // why the export cannot be all
}

// Patience is how long a service may have had nothing to record, before a witness that ends so early seems to have stopped.
const Patience = 5 * time.Minute

// Stopped says that the witnesses end so long before the database was lost that they may have stopped, or "".
func (l Lost) Stopped(lost time.Time) string {
	if !l.Until.Before(lost.Add(-Patience)) {
		return ""
	}
	return fmt.Sprintf("what is known ends at %s, and the database was in use until %s", l.Until.UTC().Format(time.RFC3339), lost.UTC().Format(time.RFC3339))
}

// reading gathers what is lost.
type reading struct {
	Lost
	files    Files
	database Database
	tell     Tell
	have     map[string]chain.Head
	last     map[string]time.Time // of each writer
	accepted []Acceptance         // among what is lost
}

// ReadLater reads what an export has and a database does not. Where the database holds an acceptance, what was exported before
// that is not lost now: it was accepted as lost, and is no part of the database's past. Such a record counts as missing where a
// later checkpoint signed it. Errors: *chain.Broken where the export contradicts the database or a checkpoint; those of
// ReadExport and of tell.
func (f Files) ReadLater(file string, d Database, tell Tell) (Lost, error) {
	r := reading{files: f, database: d, tell: tell, have: map[string]chain.Head{}}
	for _, h := range d.Heads {
		r.have[h.Writer] = h
	}
	if !r.believes(d.Last) {
		r.database.Last = time.Time{}
	}
	r.forget()
	ends, size, err := readExport(file, r.take)
	if err != nil {
		return Lost{}, err
	}
	if a := d.Accepted; a != nil && ends[a.Writer].Seq < a.Seq {
		r.forget() // it was exported before the acceptance, all of it
	}
	for _, at := range r.last {
		if at.After(r.Exported) && r.believes(at) {
			r.Exported = at
		}
	}
	if r.Exported.After(r.Until) {
		r.Until = r.Exported
	}
	return r.Lost, r.compare(file, size)
}

// believes reports whether a time says that somebody was there: one of a clock that was ahead proves nothing.
func (r *reading) believes(at time.Time) bool { return at.Before(r.database.Now.Add(Patience)) }

// forget lets what was gathered be lost for good.
func (r *reading) forget() {
	r.Records, r.accepted, r.last = nil, nil, map[string]time.Time{}
	r.ends, r.Until = map[string]int64{}, r.database.Last
	for writer, h := range r.have {
		r.ends[writer] = h.Seq
	}
}

func (r *reading) take(rec chain.Record) error {
	if err := r.files.agrees(rec); err != nil {
		return err
	}
	at := r.have[rec.Writer]
	if rec.Seq == at.Seq && at != (chain.Head{Writer: rec.Writer, Seq: rec.Seq, Hash: rec.Hash}) {
		return &chain.Broken{Writer: rec.Writer, Seq: rec.Seq, Why: "the export is of another database, or one of the two was changed"}
	}
	when, accepted, err := r.tell(rec)
	if err != nil {
		return err
	}
	known := rec.Seq <= at.Seq
	if known && accepted != nil {
		r.forget()
	}
	r.last[rec.Writer] = when
	if known {
		return nil
	}
	r.Records, r.ends[rec.Writer] = append(r.Records, rec), rec.Seq
	if accepted != nil {
		r.accepted = append(r.accepted, *accepted)
	}
	return nil
}

// compare looks whether the export has what each acceptance knew that was lost itself. It was of an older copy, or of the same
// one: what it applied again, or locked, is not in the database, and only an export that begins as the one that it read tells
// of it.
func (r *reading) compare(file string, size int64) error {
	places := map[int64]bool{size: true}
	for _, a := range r.accepted {
		places[a.Read.Bytes] = true
	}
	marks, err := marksOf(file, slices.Sorted(maps.Keys(places)))
	if err != nil {
		return err
	}
	r.Read = marks[size]
	for _, a := range r.accepted {
		was := fmt.Sprintf("the restore of %s, epoch %d, is lost too, and ", a.At.UTC().Format(time.RFC3339), a.Epoch)
		switch {
		case !a.Knew:
			r.doubt = was + "did not know all that was lost before it"
		case a.Read == Mark{} || marks[a.Read.Bytes] != a.Read:
			r.doubt = was + "the export is not the one that it read"
		}
	}
	return nil
}

// readExport is ReadExport, and returns how long the whole lines are.
func readExport(file string, each func(chain.Record) error) (ends map[string]chain.Head, size int64, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	ends = map[string]chain.Head{}
	size, err = readLines(f, func(r chain.Record) error {
		if err := follow(ends, r); err != nil {
			return err
		}
		return each(r)
	})
	return ends, size, err
}
