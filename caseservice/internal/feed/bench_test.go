package feed_test

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkCheck looks a token up that still stands, among as many revocations as are kept.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := filled(b, n)
			token, text := f.token(f.issuer.Person("p1", "cases:read"))
			b.ReportAllocs()
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
	f := filled(b, 50_000)
	ids := make([]string, 100)
	for b.Loop() {
		for n := range ids {
			ids[n] = fmt.Sprint("more-", b.N, "-", n)
		}
		f.Fill(ids, start)
	}
}

func filled(tb testing.TB, n int) *follower {
	f := idle(tb)
	ids := make([]string, 0, n)
	for i := range n {
		ids = append(ids, fmt.Sprintf("txn-of-usual-length-%022d", i))
	}
	f.Fill(ids, start)
	f.Heard()
	return f
}
