package feed_test

import (
	"net/http"
	"testing"
	"time"

	"ellis.example/caseservice/internal/feed"
)

// An answer that is long on its way says what was true when it began: it is as old as its question, less what it was held for.
func TestFollow_AnAnswerIsAsOldAsItsQuestion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		held string
		age  time.Duration
	}{
		"the issuer does not say": {"", 4 * time.Second}, "it says": {`,"held":1500`, 2500 * time.Millisecond}, "it says more than can be": {`,"held":60000`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := idle(t)
			polls, over := make(chan struct{}, 1), make(chan struct{})
			t.Cleanup(func() { close(over) })
			f.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/events/poll" {
					return false
				}
				select {
				case polls <- struct{}{}: // one is answered
				case <-over:
					return true
				}
				f.clock.Advance(4 * time.Second)
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"sets":{},"cursor":"c"` + c.held + `}`))
				return true
			})
			f.begin()
			f.until("it was answered", f.Fresh)
			if age := f.Age(); age != c.age {
				t.Errorf("its age is %v, not %v", age, c.age)
			}
			f.clock.Advance(feed.DefaultPatience - c.age)
			if !f.Fresh() {
				t.Error("not fresh at the end of the patience")
			}
			f.clock.Advance(time.Millisecond)
			if f.Fresh() {
				t.Error("fresh after the patience")
			}
		})
	}
}
