package witness

import (
	"context"
	"errors"
	"maps"
	"slices"

	"ellis.example/idp/internal/chain"
)

// Compared is what an export holds, and where it and a database differ.
type Compared struct {
	Ends    map[string]chain.Head
	Last    []chain.Record  // of each writer
	Differs []*chain.Broken // the first record of each writer that the two do not share
}

// Compare verifies an export and compares each of its records with a log. Where two chains have the same hash at one place they
// are the same up to there, so one that agrees costs one look; where they do not, the export is read once more for the first
// that differs. That holds for a log that Verify finds whole. What the log lacks is no difference where it was exported before an
// acceptance that the log holds: that was thrown away. accepted is the acceptance that began its epoch; nil: it is in its first.
// Errors: *chain.Broken where the export itself is not whole; those of the file, the log and tell.
func Compare(ctx context.Context, log Log, file string, accepted *Acceptance, tell Tell) (c Compared, err error) {
	last := map[string]chain.Record{}
	if c.Ends, err = ReadExport(file, func(r chain.Record) error { last[r.Writer] = r; return nil }); err != nil {
		return c, err
	}
	c.Last = slices.Collect(maps.Values(last))
	heads, err := log.Heads(ctx) // not before: it has what was exported until now
	if err != nil {
		return c, err
	}
	p := pairing{ctx: ctx, log: log, tell: tell, have: stand(heads), suspect: map[string][]chain.Head{}, differs: map[string]int64{}, lacks: map[string]int64{}}
	for w, end := range c.Ends {
		at := p.have[w]
		same := at == end
		if at.Seq > end.Seq {
			if same, err = holds(ctx, log, end); err != nil {
				return c, err
			}
		}
		if !same {
			p.suspect[w] = nil
		}
	}
	if len(p.suspect) == 0 {
		return c, nil
	}
	if _, err := ReadExport(file, p.take); err != nil {
		return c, err
	}
	if accepted != nil && c.Ends[accepted.Writer].Seq < accepted.Seq {
		clear(p.lacks) // it was exported before the acceptance, all of it
	}
	c.Differs, err = p.found()
	return c, err
}

// pairing compares records of an export with those of a log, one by one.
type pairing struct {
	ctx     context.Context
	log     Log
	tell    Tell
	have    standing
	suspect map[string][]chain.Head // of writers that do not agree: what is not compared yet
	differs map[string]int64        // the first that does, by writer
	lacks   map[string]int64        // the first that the log does not have
}

// together is how many records of a writer are compared at a time.
const together = 1024

func (p *pairing) take(r chain.Record) error {
	_, accepted, err := p.tell(r)
	if err != nil {
		return err
	}
	at := p.have[r.Writer]
	if accepted != nil && r.Seq <= at.Seq {
		same, err := holds(p.ctx, p.log, chain.Head{Writer: r.Writer, Seq: r.Seq, Hash: r.Hash})
		if err != nil {
			return err
		}
		if same {
			clear(p.lacks)
		}
	}
	waiting, is := p.suspect[r.Writer]
	if !is || p.differs[r.Writer] > 0 {
		return nil
	}
	if r.Seq > at.Seq {
		if p.lacks[r.Writer] == 0 {
			p.lacks[r.Writer] = r.Seq
		}
		return nil
	}
	if p.suspect[r.Writer] = append(waiting, chain.Head{Writer: r.Writer, Seq: r.Seq, Hash: r.Hash}); len(waiting)+1 < together {
		return nil
	}
	return p.compare(r.Writer)
}

// compare looks up what waits of a writer.
func (p *pairing) compare(writer string) error {
	list := p.suspect[writer]
	p.suspect[writer] = list[:0]
	if len(list) == 0 {
		return nil
	}
	i := 0
	err := p.log.Walk(p.ctx, writer, list[0].Seq-1, func(r chain.Record) error {
		if list[i] != (chain.Head{Writer: writer, Seq: r.Seq, Hash: r.Hash}) {
			return errSeen
		}
		if i++; i == len(list) {
			return errSeen
		}
		return nil
	})
	if err != nil && !errors.Is(err, errSeen) {
		return err
	}
	if i < len(list) {
		p.differs[writer] = list[i].Seq
	}
	return nil
}

// found names the first difference of each writer.
func (p *pairing) found() (out []*chain.Broken, err error) {
	for _, w := range slices.Sorted(maps.Keys(p.suspect)) {
		if err := p.compare(w); err != nil {
			return nil, err
		}
		switch {
		case p.differs[w] > 0:
			out = append(out, &chain.Broken{Writer: w, Seq: p.differs[w], Why: "the export has another record there"})
		case p.lacks[w] > 0:
			out = append(out, &chain.Broken{Writer: w, Seq: p.lacks[w], Why: "the export has this record, the database does not"})
		}
	}
	return out, nil
}
