package keyring_test

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/fresh"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/sqlstore/sqltest"
	"ellis.example/idp/internal/unit"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// race calls f at once 64 times, in turn for each ring, and returns how many calls gave no error.
func race(t *testing.T, rings []*keyring.Ring, f func(*keyring.Ring) error) (done int64) {
	t.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range 64 {
		r := rings[i%len(rings)]
		wg.Go(func() {
			<-begin
			switch err := f(r); {
			case err == nil:
				n.Add(1)
			case !unit.IsConflict(err) && !errors.Is(err, keyring.ErrTooSoon):
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	return n.Load()
}

func count(t *testing.T, r *keyring.Ring, alg string) map[keyring.State]int {
	t.Helper()
	list, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := map[keyring.State]int{}
	for _, k := range list {
		if k.Alg == alg {
			n[k.State]++
		}
	}
	return n
}

func TestRing_OneOfTwoReplicasMakesAndRotates(t *testing.T) {
	t.Parallel()
	dsn, clk := pgtest.Database(t), clock.NewFake(start)
	s, err := seal.New(bytes.Repeat([]byte{4}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	var rings []*keyring.Ring
	for range 2 {
		st := sqltest.OpenDSN(t, dsn, clk)
		rings = append(rings, keyring.New(keyring.Deps{Store: st, Commit: st, Seal: s, Clock: clk}))
	}
	if n := race(t, rings, func(r *keyring.Ring) error { return r.Ensure(t.Context()) }); n != 64 {
		t.Fatalf("%d of 64 have keys", n)
	}
	for _, alg := range []string{"ES256", "RS256"} {
		if n := count(t, rings[0], alg); n[keyring.Active] != 1 || n[keyring.Next] != 1 || len(n) != 2 {
			t.Fatalf("%s: %v", alg, n)
		}
	}
	for round := 1; round <= 3; round++ {
		clk.Advance(keyring.PublishedFor - fresh.Every)
		first, second := sign(t, rings[0], "ES256", "JWT"), sign(t, rings[1], "ES256", "JWT") // both have just looked
		clk.Advance(fresh.Every - time.Millisecond)
		if n := race(t, rings, func(r *keyring.Ring) error { return r.Rotate(t.Context(), "ES256", false) }); n != 0 {
			t.Fatalf("%d rotations before everybody can know the next key", n)
		}
		clk.Advance(time.Millisecond)
		if n := race(t, rings, func(r *keyring.Ring) error { return r.Rotate(t.Context(), "ES256", false) }); n != 1 {
			t.Fatalf("%d rotations", n)
		}
		if n := count(t, rings[0], "ES256"); n[keyring.Active] != 1 || n[keyring.Next] != 1 || n[keyring.Retiring] != round {
			t.Fatalf("after rotation %d: %v", round, n)
		}
		// Whichever replica has not looked again signs with the old key and knows the new one.
		now := []string{first, second, sign(t, rings[0], "ES256", "JWT"), sign(t, rings[1], "ES256", "JWT")}
		for _, r := range rings {
			for _, tok := range now {
				if _, err := r.Verify(t.Context(), tok, "JWT"); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
