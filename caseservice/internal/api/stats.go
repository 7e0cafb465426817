package api

import (
	"context"
	"strconv"
	"sync"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/chain"
)

// countsFresh is how long a count is good for: it reads every case, and nobody needs it by the second.
const countsFresh = 10 * time.Second

// snapshot is the last count. One caller counts, the others wait for it.
type snapshot struct {
	mu   sync.Mutex
	at   time.Time
	body []byte
}

// stats answers GET /v1/stats.
func (c *call) stats() (reply, error) {
	body, err := c.api.counted(c.r.Context(), c.now)
	if err != nil {
		return reply{}, err
	}
	return c.ok(body), nil
}

func (a *API) counted(ctx context.Context, now time.Time) ([]byte, error) {
	a.counts.mu.Lock()
	defer a.counts.mu.Unlock()
	if age := now.Sub(a.counts.at); a.counts.body != nil && age >= 0 && age < countsFresh {
		return a.counts.body, nil
	}
	counts, err := a.cases.Counts(ctx)
	if err != nil {
		return nil, storeFault(err)
	}
	a.counts.at, a.counts.body = now, a.words.appendStats(nil, counts, now)
	return a.counts.body, nil
}

// appendStats renders the counts (schema Stats): every form and every stage of it, in the catalogue's order, zeros too.
func (l *lexicon) appendStats(b []byte, counts []cases.Count, now time.Time) []byte {
	type place struct{ form, stage string }
	n, forms, total := map[place]int64{}, map[string]int64{}, int64(0)
	for _, c := range counts {
		n[place{c.Form, c.Stage}] = c.N
		forms[c.Form] += c.N
		total += c.N
	}
	b = appendTime(b, `{"as_of":"`, now)
	b = append(b, `,"total":`...)
	b = append(strconv.AppendInt(b, total, 10), `,"forms":[`...)
	for i, f := range l.counted {
		if i > 0 {
			b = append(b, ',')
		}
		b = chain.AppendString(append(b, `{"form":`...), f.code)
		b = strconv.AppendInt(append(b, `,"total":`...), forms[f.code], 10)
		b = append(b, `,"stages":[`...)
		for j, stage := range f.stages {
			if j > 0 {
				b = append(b, ',')
			}
			b = chain.AppendString(append(b, `{"stage":`...), stage)
			b = append(strconv.AppendInt(append(b, `,"count":`...), n[place{f.code, stage}], 10), '}')
		}
		b = append(b, ']', '}')
	}
	return append(b, ']', '}')
}
