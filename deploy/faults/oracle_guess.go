package main

import (
	"slices"
	"time"
)

// What may be guessed (NIST SP 800-63B-4 §3.2.2 allows 100 an account): strangers get 90 wrong passwords of an account in a row
// verified, and from the fifth on each waits twice as long as the one before, up to a quarter of an hour.
const (
	guesses   = 90
	freely    = 5
	longWait  = 15 * time.Minute
	clockStep = 5 * time.Millisecond // between what driver and provider read of the same clock
)

// waitAfter is how long no guess is verified after the n-th in a row.
func waitAfter(n int) time.Duration {
	if n < freely {
		return 0
	}
	return min(longWait, time.Second<<min(n-freely, 20))
}

// guessed is a guess that was verified: somewhere between two times.
type guessed struct{ from, to time.Time }

// bounded: in no window are more passwords of an account verified than its limit lets through, however many are tried at once
// and from wherever; what was not verified is answered as such; and no wrong password opens anything (L7).
func (o *oracle) bounded() {
	victims, asked, verified := map[string]string{}, map[string]record{}, map[string]bool{}
	for _, r := range o.records {
		if r.Op != opGuess {
			continue
		}
		victims[o.kept.accounts[r.Who].id] = r.Who
		asked[r.Request] = r
		if r.answered() {
			o.found("L7", r.N, "a wrong password of %s was good", r.Who)
		}
	}
	all := map[string][]guessed{}
	for _, e := range o.kept.events {
		if e.Type != "signin.password" || e.Reason != "wrong_password" || victims[e.Account] == "" {
			continue
		}
		from := e.At.Add(-2 * answerTime)
		if r, known := asked[e.Request]; known && e.Request != "" {
			from = r.Began
			verified[e.Request] = true
		}
		all[e.Account] = append(all[e.Account], guessed{from, e.At})
	}
	for id, r := range asked {
		if looked := r.Status == 422; looked != verified[id] && (looked || r.Status == 429) {
			o.found("L7", r.N, "the answer to a guess was %d, and the audit says verified: %t", r.Status, verified[id])
		}
	}
	var counts []int64
	for account, list := range all {
		o.window(victims[account], list)
		counts = append(counts, int64(len(list)))
	}
	o.counted(counts)
}

// window compares the verified guesses of one account, none of which was right, with what their waits allow. The k-th one was
// verified no later than the k-th that was recorded, and the i-th no earlier than the i-th that was sent.
func (o *oracle) window(who string, list []guessed) {
	if len(list) > guesses {
		o.found("L7", 0, "%d wrong passwords of %s were verified in a row", len(list), who)
	}
	from, to := make([]time.Time, len(list)), make([]time.Time, len(list))
	for i, g := range list {
		from[i], to[i] = g.from, g.to
	}
	slices.SortFunc(from, time.Time.Compare)
	slices.SortFunc(to, time.Time.Compare)
	for i := range list {
		wait := time.Duration(0)
		for k := i + 1; k < len(list); k++ {
			if wait += waitAfter(k); to[k].Add(clockStep).Before(from[i].Add(wait)) {
				o.found("L7", 0, "%d wrong passwords of %s were verified within %s", k-i+1, who, to[k].Sub(from[i]))
				return
			}
		}
	}
}

// counted: the counters know of each guess. Whose one is they do not tell: the largest must be enough for whoever was guessed at
// the most, and so on.
func (o *oracle) counted(counts []int64) {
	kept := slices.Clone(o.kept.failures)
	slices.Sort(counts)
	slices.Sort(kept)
	for i := 1; i <= len(counts); i++ {
		n := counts[len(counts)-i]
		if i > len(kept) || kept[len(kept)-i] < n {
			o.found("L7", 0, "%d guesses at one account were verified, and no counter that is left knows of so many", n)
			return
		}
	}
}
