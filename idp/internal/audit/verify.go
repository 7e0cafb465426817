package audit

import (
	"context"
	"errors"
	"fmt"

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
	Broken      []*chain.Broken `json:"broken,omitempty"`
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
	promised := map[string]map[int64]chain.Hash{}
	for _, c := range checkpoints {
		for _, h := range c.Heads {
			if promised[h.Writer] == nil {
				promised[h.Writer] = map[int64]chain.Hash{}
			}
			promised[h.Writer][h.Seq] = h.Hash
		}
	}
	r := Report{Writers: len(heads), Checkpoints: len(checkpoints)}
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
