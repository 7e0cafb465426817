package feed_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/feed"
	"ellis.example/caseservice/internal/issuer"
)

// BenchmarkCheck looks a token up that still stands, among as many revocations as are kept.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, token, text := filled(b, n)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := f.Check(context.Background(), token, text); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkApply adds a hundred revocations to as many as are kept.
func BenchmarkApply(b *testing.B) {
	f, _, _ := filled(b, 50_000)
	ids := make([]string, 100)
	for b.Loop() {
		for n := range ids {
			ids[n] = fmt.Sprint("more-", b.N, "-", n)
		}
		f.Fill(ids, time.Now())
	}
}

// filled returns a feed on the machine's clock that has just heard of n revocations, and a token that none of them voids.
func filled(tb testing.TB, n int) (*feed.Feed, *feed.Token, string) {
	tb.Helper()
	i := idle(tb)
	token, text := i.token(i.issuer.Person("p1", "cases:read"))
	f := feed.New(feed.Options{Issuer: issuer.New(issuer.Options{URL: i.issuer.URL}), Audience: issuertest.Audience, Patience: feed.MaxPatience})
	ids := make([]string, 0, n)
	for i := range n {
		ids = append(ids, fmt.Sprintf("txn-of-usual-length-%022d", i))
	}
	f.Fill(ids, time.Now())
	f.Heard()
	return f, token, text
}
