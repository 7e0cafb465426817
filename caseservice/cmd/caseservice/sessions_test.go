package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/store/redisstore/redistest"
)

func TestPortal_SharesSessionsThroughRedis(t *testing.T) {
	t.Parallel()
	o, srv := newOperator(t), redistest.Own(t)
	const origin = "http://localhost:8082"
	args := []string{
		"portal", "--issuer", "http://localhost:1", "--api", issuertest.Audience, "--api-url", "http://localhost:1", "--public-url", origin,
		"--client-id", "portal", "--client-secret-file", o.write("secret", "portal-secret\n"), "--redis", srv.URL(),
	}
	if r := o.run(args...); r.status != exitConfig || !strings.Contains(r.err, "session-key") {
		t.Errorf("without a key: %d %s", r.status, r.err)
	}
	args = append(args, "--session-key-file", o.write("key", base64.StdEncoding.EncodeToString(make([]byte, 32))))
	p := o.start(args...)
	if status, body := p.get(p.private + "/readyz"); status != http.StatusOK || strings.Contains(body, "redis") {
		t.Errorf("%d %s", status, body)
	}
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	if status, body := p.get(p.private + "/readyz"); status != http.StatusOK || !strings.Contains(body, "redis does not answer") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.get(p.public+"/", "Host", "localhost:8082"); status != http.StatusOK {
		t.Errorf("the first page needs no session: %d", status)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != exitOK {
		t.Errorf("status %d: %s", status, p.log)
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Do("CONFIG", "SET", "maxmemory-policy", "volatile-lru"); err != nil {
		t.Fatal(err)
	}
	if r := o.run(args...); r.status != exitConfig || !strings.Contains(r.err, "volatile-lru") {
		t.Errorf("with a server that forgets: %d %s", r.status, r.err)
	}
}
