package api_test

import (
	"bytes"
	"fmt"
	"net"
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

// gone is a client that hangs up while it is answered. Its answer may be read for a while yet: nobody else's is written over it.
type gone struct {
	*httptest.ResponseRecorder
	sent []byte
}

func (g *gone) Write(b []byte) (int, error) {
	g.sent = b
	return 0, net.ErrClosed
}

func TestRead_AnAnswerThatWasGivenUpIsNotWrittenOver(t *testing.T) {
	s := newService(t)
	one, other := s.seed(1, "p1"), s.seed(2, "p2")
	ask := func(w http.ResponseWriter, id, token string) {
		r := httptest.NewRequest(http.MethodGet, "/v1/cases/"+id, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		s.handler.ServeHTTP(w, r)
	}
	mine, theirs := s.person("p1", read), s.person("p2", read)
	for range 20 {
		w := &gone{ResponseRecorder: httptest.NewRecorder()}
		ask(w, one.Case.ID, mine)
		before := bytes.Clone(w.sent)
		for range 5 {
			ask(httptest.NewRecorder(), other.Case.ID, theirs)
		}
		if len(before) == 0 || !bytes.Equal(before, w.sent) {
			t.Fatalf("%s became %s", before, w.sent)
		}
	}
}
