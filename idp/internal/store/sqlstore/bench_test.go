package sqlstore

import (
	"path/filepath"
	"testing"
)

// BenchmarkCommit is what one audited unit costs when 16 requests are in flight on each core.
func BenchmarkCommit(b *testing.B) {
	s, err := Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "idp.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := s.Commit(b.Context(), event(i)); err != nil {
				b.Error(err)
			}
		}
	})
}
