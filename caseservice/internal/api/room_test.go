package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Answers are rendered in rooms that are used again: none shows what another was about.
func TestRead_NoAnswerIsWrittenOverByAnother(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var wg sync.WaitGroup
	for n := range 4 {
		sub := fmt.Sprint("p", n)
		c := s.seed(n+1, sub)
		token := s.person(sub, read)
		first := s.get("/v1/cases/"+c.Case.ID, token)
		wg.Go(func() {
			for i := range 40 {
				w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/cases/"+c.Case.ID, nil)
				if r.Header.Set("Authorization", "Bearer "+token); i%4 == 3 {
					r.Header.Set("If-None-Match", first.header.Get("ETag"))
				}
				s.handler.ServeHTTP(w, r)
				if i%4 == 3 && (w.Code != http.StatusNotModified || w.Body.Len() > 0) || i%4 != 3 && !bytes.Equal(w.Body.Bytes(), first.body) {
					t.Errorf("%d %s in place of %s", w.Code, w.Body, first.body)
					return
				}
			}
		})
	}
	wg.Wait()
}
