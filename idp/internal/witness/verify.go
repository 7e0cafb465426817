package witness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ellis.example/idp/internal/chain"
)

// Log is the stored record.
type Log interface {
	// Heads returns where each writer's chain ends, as its own row says.
	Heads(ctx context.Context) ([]chain.Head, error)
	// Walk calls f for every record of a writer after a number, in order.
	Walk(ctx context.Context, writer string, after int64, f func(chain.Record) error) error
}

// Report is the outcome of a verification.
type Report struct {
	Writers     int             `json:"writers"`
	Events      int64           `json:"events"`
	Checkpoints int             `json:"checkpoints"`
	Restores    []Restore       `json:"restores,omitempty"`
	Broken      []*chain.Broken `json:"broken,omitempty"`
}

// Restore is a restored database that was accepted.
type Restore struct {
	Epoch int64     `json:"epoch"`
	At    time.Time `json:"at"`
	Lost  int64     `json:"lost_at_least"` // records that an earlier checkpoint knew
}

// Whole reports whether nothing is wrong.
func (r Report) Whole() bool { return len(r.Broken) == 0 }

// Verify follows every chain from its first record to its head and compares it with the checkpoints: what was in the
// record when one was signed must still be there, unchanged. Each broken chain is named with its first bad record.
func Verify(ctx context.Context, log Log, checkpoints []Checkpoint) (Report, error) {
	heads, err := log.Heads(ctx)
	if err != nil {
		return Report{}, err
	}
	promised, restores, broken := promises(checkpoints)
	r := Report{Writers: len(heads), Checkpoints: len(checkpoints), Restores: restores, Broken: broken}
	for _, head := range heads {
		n, err := verifyOne(ctx, log, head, promised[head.Writer])
		r.Events += n
		delete(promised, head.Writer)
		var b *chain.Broken
		if errors.As(err, &b) {
			r.Broken = append(r.Broken, b)
		} else if err != nil {
			return r, err
		}
	}
	for writer := range promised {
		r.Broken = append(r.Broken, &chain.Broken{Writer: writer, Seq: 1, Why: "a checkpoint knows this writer, the record does not"})
	}
	return r, nil
}

// promises are what the checkpoints say must be there, by writer and number. An accepted restore takes back what earlier ones
// know beyond it; what it covers itself has to be as it was before. One that is not later than those before it takes nothing
// back: it was appended again.
// Two that contradict each other are a broken chain, whatever the record says.
func promises(checkpoints []Checkpoint) (out map[string]map[int64]chain.Hash, restores []Restore, broken []*chain.Broken) {
	out = map[string]map[int64]chain.Hash{}
	at, restored := standing{}, time.Time{}
	for _, c := range checkpoints {
		if !c.At.After(restored) {
			c.Epoch = 0
		}
		if c.Epoch > 0 {
			restored = c.At
			restores = append(restores, Restore{Epoch: c.Epoch, At: c.At, Lost: Checkpoint{Heads: at.heads()}.Lost(c.Heads)})
			takeBack(out, c)
		}
		at = at.after(c)
		for _, h := range c.Heads {
			if out[h.Writer] == nil {
				out[h.Writer] = map[int64]chain.Hash{}
			}
			if was, there := out[h.Writer][h.Seq]; there && was != h.Hash {
				broken = append(broken, &chain.Broken{Writer: h.Writer, Seq: h.Seq, Why: "two checkpoints contradict each other"})
				continue
			}
			out[h.Writer][h.Seq] = h.Hash
		}
	}
	return out, restores, broken
}

func takeBack(promised map[string]map[int64]chain.Hash, c Checkpoint) {
	to := stand(c.Heads)
	for writer, list := range promised {
		for seq := range list {
			if seq > to[writer].Seq {
				delete(list, seq)
			}
		}
		if len(list) == 0 {
			delete(promised, writer)
		}
	}
}

func verifyOne(ctx context.Context, log Log, head chain.Head, promised map[int64]chain.Hash) (n int64, err error) {
	at := chain.Head{Writer: head.Writer}
	err = log.Walk(ctx, head.Writer, 0, func(rec chain.Record) error {
		next, err := chain.Follow(at, rec)
		if err != nil {
			return err
		}
		if want, there := promised[rec.Seq]; there && want != rec.Hash {
			return &chain.Broken{Writer: head.Writer, Seq: rec.Seq, Why: "it is not what the checkpoint signed"}
		}
		at, n = next, n+1
		return nil
	})
	if err != nil {
		return n, err
	}
	if at.Seq < head.Seq || (at.Seq == head.Seq && at.Hash != head.Hash) {
		return n, &chain.Broken{Writer: head.Writer, Seq: at.Seq + 1, Why: fmt.Sprintf("the record ends here, its writer had come to %d", head.Seq)}
	}
	for seq := range promised {
		if seq > at.Seq {
			return n, &chain.Broken{Writer: head.Writer, Seq: at.Seq + 1, Why: fmt.Sprintf("the record ends here, a checkpoint knows record %d", seq)}
		}
	}
	return n, nil
}
