package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// BenchmarkRead reads one case with a token that was seen before, over HTTP, 16 at a time, ledger entry and all.
func BenchmarkRead(b *testing.B) {
	s := newService(b)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	b.ReportAllocs()
	b.ResetTimer()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range b.N / 16 {
				req := httptest.NewRequest(http.MethodGet, s.url+"/v1/cases/"+c.Case.ID, nil)
				req.RequestURI = ""
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := client.Do(req)
				if err != nil || res.StatusCode != http.StatusOK {
					b.Error(err)
					return
				}
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
}

// discard is a ResponseWriter that costs nothing.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkReadHandler is BenchmarkRead without network and client.
func BenchmarkReadHandler(b *testing.B) {
	s := newService(b)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/v1/cases/"+c.Case.ID, nil)
			r.Header.Set("Authorization", strings.Clone("Bearer "+token))
			for range b.N / 16 {
				w := &discard{h: http.Header{}}
				if s.handler.ServeHTTP(w, r); w.status != http.StatusOK {
					b.Error(w.status)
					return
				}
			}
		})
	}
	wg.Wait()
}
