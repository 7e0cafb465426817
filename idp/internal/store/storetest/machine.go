package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/unit"
)

func machineToken(jti string) grant.MachineStands {
	return grant.MachineStands{JTI: jti, Client: "c", API: "cases", Issued: grantTime, Until: grantTime.Add(5 * time.Minute)}
}

func machines(t *testing.T, s GrantStore) {
	for i := range 64 {
		if i%3 == 0 {
			commit(t, s, grant.RevokeToken{JTI: fmt.Sprint("m", i), At: grantTime, Until: grantTime.Add(5 * time.Minute)})
		}
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			err := s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{
				grant.RevokeToken{JTI: fmt.Sprint("beside", i), At: grantTime, Until: grantTime.Add(5 * time.Minute)}, machineToken(fmt.Sprint("m", i)),
			}})
			fell, is := unit.ConflictIn[grant.MachineStands](err)
			if is != (i%3 == 0) || (!is && err != nil) || (is && fell.JTI != fmt.Sprint("m", i)) {
				t.Errorf("token %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	commit(t, s, machineToken("beside0")) // what was handed over with a token that does not stand was not written
	conflicts(t, s, machineToken("beside1"))
	commit(t, s, machineToken("m1"), machineToken("m2"))
	conflicts(t, s, machineToken("m1"), machineToken("m3"))
	if _, err := s.SweepOn(t.Context(), grantTime.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	swept, err := s.SweptTo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late := machineToken("m1")
	late.Until = swept // its revocation would be gone
	conflicts(t, s, late)
	late.Until = swept.Add(time.Microsecond)
	commit(t, s, late)
}
