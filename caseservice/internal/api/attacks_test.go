package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/api"
	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/ident"
)

// sameAnswer compares what an outsider could tell two answers apart by.
func sameAnswer(a, b answer) bool {
	for _, h := range []http.Header{a.header, b.header} {
		h.Del("X-Request-Id") // random
		h.Del("Date")
	}
	return a.status == b.status && bytes.Equal(a.body, b.body) && fmt.Sprint(a.header) == fmt.Sprint(b.header)
}

func TestAttack_H01_OffDiagonalIsTheSame404AsNoCase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const people, each = 10, 6
	owned := map[string]int{}
	for p := range people {
		for n := range each {
			owned[s.seed(1+p*each+n, fmt.Sprint("p", p)).Case.ID] = p
		}
	}
	missing := ident.New("cas")
	for p := range people {
		token := s.person(fmt.Sprint("p", p), read)
		for _, path := range []string{"/v1/cases/%s", "/v1/cases/%s/events", "/v1/cases/%s/events?limit=1"} {
			want := s.get(fmt.Sprintf(path, missing), token)
			if want.status != http.StatusNotFound || want.code() != "not_found" {
				t.Fatalf("%d %s", want.status, want.body)
			}
			for id, owner := range owned {
				got := s.get(fmt.Sprintf(path, id), token)
				switch {
				case owner == p && got.status != http.StatusOK:
					t.Errorf("p%d does not get an own case: %d", p, got.status)
				case owner != p && !sameAnswer(got, want):
					t.Errorf("p%d can tell p%d's case from none: %d %s", p, owner, got.status, got.body)
				}
			}
		}
		var page casePage
		s.get("/v1/cases?limit=100", token).into(t, &page)
		for _, c := range page.Items {
			if owned[c.ID] != p {
				t.Errorf("p%d's list shows p%d's case", p, owned[c.ID])
			}
		}
		if len(page.Items) != each {
			t.Errorf("p%d sees %d cases", p, len(page.Items))
		}
	}
}

func TestAttack_H02_KnowingAnIdentifierOpensNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	mine, theirs := s.seed(1, "p1"), s.seed(2, "p2")
	unowned := s.seed(3, "")
	token := s.person("p1", read)
	want := s.get("/v1/cases/"+ident.New("cas"), token)
	id := theirs.Case.ID
	for _, known := range []string{
		id, unowned.Case.ID, string(theirs.Case.Receipt), string(mine.Case.Receipt), strings.ToUpper(mine.Case.ID), id[:20], mine.Case.ID + "0", "cas_", "0", "%25",
		"%20OR%201=1", url.PathEscape(mine.Case.ID + " "), theirs.Events[0].ID, strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("a", 4000), "null", "undefined", "-1",
	} {
		if a := s.get("/v1/cases/"+known, token); !sameAnswer(a, want) {
			t.Errorf("%.80s: %d %s", known, a.status, a.body)
		}
	}
}

func TestAttack_H01_RefusalsOfOthersCasesNameTheCaseInTheLedgerOnly(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p2")
	a := s.get("/v1/cases/"+c.Case.ID, s.person("p1", read))
	var outcome, reason, id, sub, client, purpose string
	err := s.db.QueryRow("SELECT outcome, reason, case_id, sub, client_id, purpose FROM ledger WHERE request_id = ?", a.header.Get("X-Request-Id")).Scan(&outcome, &reason, &id, &sub, &client, &purpose)
	if err != nil || outcome != "refused" || reason != "no_relationship" || id != c.Case.ID || sub != "p1" || client != "portal" || purpose != "self_service" {
		t.Errorf("%s %s %s %s %s, %v", outcome, reason, id, sub, client, err)
	}
	b := s.get("/v1/cases/"+ident.New("cas"), s.person("p1", read))
	if err := s.db.QueryRow("SELECT reason, case_id FROM ledger WHERE request_id = ?", b.header.Get("X-Request-Id")).Scan(&reason, &id); err != nil || reason != "unknown_case" || id != "" {
		t.Errorf("%s %q, %v", reason, id, err)
	}
}

// Every route times every kind of caller. A route that is served and not described, or described and not in this table,
// fails.
func TestAttack_H04_EachRouteAsksEachCaller(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	every := "cases:read cases:claim cases:stats"
	callers := map[string]string{
		"anonymous": "", "owner": s.person("p1", every), "other": s.person("p2", every), "machine": s.issuer.Sign(s.issuer.Machine("batch", every)),
		"no scope": s.person("p1", "openid"), "other audience": s.issuer.Sign(s.issuer.Person("p1", every).With("aud", s.issuer.URL)),
	}
	one := "/v1/cases/" + c.Case.ID
	table := map[string]map[string]int{
		"GET /v1/cases":          {"anonymous": 401, "owner": 200, "other": 200, "machine": 403, "no scope": 403, "other audience": 401},
		"GET " + one:             {"anonymous": 401, "owner": 200, "other": 404, "machine": 403, "no scope": 403, "other audience": 401},
		"GET " + one + "/events": {"anonymous": 401, "owner": 200, "other": 404, "machine": 403, "no scope": 403, "other audience": 401},
		"POST /v1/claims":        {"anonymous": 401, "owner": 400, "other": 400, "machine": 403, "no scope": 403, "other audience": 401},
		"GET /v1/stats":          {"anonymous": 401, "owner": 403, "other": 403, "machine": 200, "no scope": 403, "other audience": 401},
		"GET /openapi.yaml":      {"anonymous": 200, "owner": 200},
		"GET /openapi.json":      {"anonymous": 200, "owner": 200},
		"GET /.well-known/oauth-protected-resource": {"anonymous": 200, "owner": 200},
	}
	for route := range servedAndDescribed(t) {
		if table[strings.Replace(route, "{id}", c.Case.ID, 1)] == nil {
			t.Errorf("%s is in no line of the table", route)
		}
	}
	for route, want := range table {
		method, path, _ := strings.Cut(route, " ")
		for caller, status := range want {
			if a := s.do(method, path, callers[caller], ""); a.status != status {
				t.Errorf("%s as %s: %d, want %d", route, caller, a.status, status)
			}
		}
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"} {
			if m == method || m == "HEAD" && method == "GET" {
				continue
			}
			if a := s.do(m, path, callers["owner"], ""); a.status != http.StatusMethodNotAllowed || !strings.HasPrefix(a.header.Get("Allow"), method) {
				t.Errorf("%s %s: %d", m, path, a.status)
			}
		}
	}
}

// servedAndDescribed returns the routes, which have to be the same in the code and in the description.
func servedAndDescribed(t *testing.T) map[string]bool {
	t.Helper()
	a, err := api.New(api.Options{Issuer: "http://localhost:8080", Audience: issuertest.Audience, Key: codeKey})
	if err != nil {
		t.Fatal(err)
	}
	served, all := a.Routes(), map[string]bool{}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			route := strings.ToUpper(method) + " " + path
			if all[route] = true; !served[route] {
				t.Errorf("%s is described and not served", route)
			}
		}
	}
	for route := range served {
		if !all[route] {
			t.Errorf("%s is served and not described", route)
		}
	}
	return all
}

func TestAttack_H11_OnlyExactPathsAreRoutes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	id := c.Case.ID
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/cases/", "/v1/cases//", "/v1//cases", "//v1/cases", "/v1/cases/" + id + "/", "/v1/cases/" + id + "/events/", "/v1/cases/" + id + "//events",
		"/v1/cases/" + id + "/events/x", "/v1/./cases", "/v1/x/../cases", "/v1/cases/..", "/v1/cases/" + id + "%2Fevents", "/v1%2Fcases", "/v1/%63ases", "/v1/cases/" + id + ";x=1/events",
		"/v1/cases;a=b", "/v1/cases.json", "/V1/cases", "/v1/Cases", "/v1/cases/" + id + "/history", "/v2/cases", "/openapi", "/openapi.yml", "/openapi.yaml/", "/.well-known/", "/.well-known/oauth-protected-resource/x",
		"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/favicon.ico", "/v1/cases/x/../" + id, "/v1/cases%00", "/v1/cases%20", "/v1/cases/*", "/v1/cases/'%20OR%20'1'='1", "/v1/cases/" + id[:8] + "%" + "5f" + id[9:],
	} {
		if a := s.get(path, token); a.status != http.StatusNotFound || strings.Contains(string(a.body), "biometrics") || a.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestAttack_H07_NoUserAgentSkipsTheToken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, agent := range []string{"GoogleHC/1.0", "kube-probe/1.31", "ELB-HealthChecker/2.0", "Prometheus/3", "curl", "caseservice-healthcheck"} {
		if a := s.get("/v1/cases", "", header{"User-Agent", agent}); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", agent, a.status)
		}
	}
}

func TestAttack_H08_NoHeaderNamesTheCallerOrThePath(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	stranger := s.person("p2", read)
	want := s.get("/v1/cases/"+c.Case.ID, stranger)
	for _, name := range []string{
		"X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-Request-User", "X-Forwarded-Email", "X-User-Id", "X-Sub", "X-Authenticated-Userid", "X-Forwarded-Access-Token",
		"X-Forwarded-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-Forwarded-Path", "X-Http-Method-Override", "X-Method-Override", "X-Forwarded-Method", "X-Forwarded-For", "X-Real-Ip",
		"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "True-Client-Ip", "Via", "X-Client-Cert", "X-Ssl-Client-Verify", "X-Custom-Ip-Authorization", "Cf-Connecting-Ip", "X-Scope", "X-Act-As",
	} {
		for _, value := range []string{"p1", "/v1/cases/" + c.Case.ID, "127.0.0.1", "GET"} {
			if a := s.get("/v1/cases/"+c.Case.ID, stranger, header{name, value}); !sameAnswer(a, want) {
				t.Errorf("%s: %s changes the answer to %d", name, value, a.status)
			}
			if a := s.get("/v1/cases", "", header{name, value}); a.status != http.StatusUnauthorized {
				t.Errorf("%s: %s: %d", name, value, a.status)
			}
		}
	}
}

func TestAttack_H10_MalformedRequestLinesReachNoCase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	host := strings.TrimPrefix(s.url, "http://")
	token := s.person("p2", read)
	for _, line := range []string{
		"GET /v1/cases/" + c.Case.ID, "GET  /v1/cases/" + c.Case.ID + " HTTP/1.1", "GET\t/v1/cases HTTP/1.1", "GET v1/cases HTTP/1.1", "GET /v1/cases\x00 HTTP/1.1", "GET /v1/cases HTTP/9.9", "GET /v1/cases/%zz HTTP/1.1",
		"GET \\v1\\cases HTTP/1.1", "GET http://[::1/v1/cases HTTP/1.1", "\x16\x03\x01", "GET /v1/cases /x HTTP/1.1", "GET /../v1/cases/" + c.Case.ID + " HTTP/1.1", "GET http://elsewhere.example/v1/cases/" + c.Case.ID + " HTTP/1.1",
		"G\x00T /v1/cases HTTP/1.1", "GET * HTTP/1.1", "CONNECT /v1/cases HTTP/1.1", "GET /v1/cases\r\nX: y HTTP/1.1",
	} {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = fmt.Fprintf(conn, "%s\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", line, token)
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK || strings.Contains(string(body), c.Case.ID) {
				t.Errorf("%q: %d %s", line, res.StatusCode, body)
			}
		}
		_ = conn.Close()
	}
}

func TestAttack_G11_ForgedAndForeignCursorsAre400(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var mine []seeded
	for n := range 4 {
		mine = append(mine, s.seed(n+1, "p1"))
		s.seed(n+100, "p2")
	}
	p1, p2 := s.person("p1", read), s.person("p2", read)
	cursor := func(path, token string) string {
		var p struct{ Next string }
		s.get(path, token).into(t, &p)
		return p.Next
	}
	list, foreign := cursor("/v1/cases?limit=1", p1), cursor("/v1/cases?limit=1", p2)
	history := "/v1/cases/" + mine[0].Case.ID + "/events"
	event, otherCase := cursor(history+"?limit=1", p1), cursor("/v1/cases/"+mine[1].Case.ID+"/events?limit=1", p1)
	raw, err := base64.RawURLEncoding.DecodeString(list)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{
		"", "x", "null", "0", "1", "' OR 1=1 --", "1; DROP TABLE cases", strings.Repeat("A", 512), strings.Repeat("A", 513), strings.Repeat("A", 5000), list + "=", list + "A", list[:len(list)-1],
		list + "\n", list[:5] + "\r\n" + list[5:], strings.ToUpper(list), base64.StdEncoding.EncodeToString([]byte(`{"id":1}`)), base64.RawURLEncoding.EncodeToString(raw[:16]), base64.RawURLEncoding.EncodeToString(raw[16:]), "é", "\x00",
	}
	for i := range raw {
		bent := bytes.Clone(raw)
		bent[i] ^= 1
		forged = append(forged, base64.RawURLEncoding.EncodeToString(bent))
	}
	refused := func(name, path, parameter, value string) {
		t.Helper()
		a := s.get(path+"?"+parameter+"="+url.QueryEscape(value), p1)
		if a.status != http.StatusBadRequest || a.code() != "invalid_cursor" || !strings.Contains(string(a.body), `"pointer":"?`+parameter+`"`) {
			t.Errorf("%s %.60q: %d %s", name, value, a.status, a.body)
		}
	}
	for _, f := range append(forged, foreign, event) {
		refused("cursor", "/v1/cases", "cursor", f)
	}
	for _, f := range append(forged, list, otherCase) {
		refused("after", history, "after", f)
	}
	if a := s.get("/v1/cases?cursor="+list+"&cursor="+list, p1); a.code() != "invalid_cursor" {
		t.Errorf("two cursors: %d", a.status)
	}
	for _, path := range []string{"/v1/cases?cursor=" + list, history + "?after=" + event} {
		if a := s.get(path, p1); a.status != http.StatusOK {
			t.Errorf("the yardstick %s: %d", path, a.status)
		}
	}
}

func TestAttack_G12_InputIsNeverSQL(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	for i, attack := range []string{"'", `"`, "' OR '1'='1", "'; DROP TABLE cases; --", "') UNION SELECT * FROM cases --", "%' --", "\\", "1/**/OR/**/1=1", "x' AND randomblob(1000000000) --", "p1'--"} {
		sub := strings.ReplaceAll(attack, " ", "_")
		if a := s.get("/v1/cases", s.person(sub, read)); string(a.body) != `{"items":[],"next":null}` {
			t.Errorf("sub %q: %d %s", sub, a.status, a.body)
		}
		if a := s.get("/v1/cases/"+url.PathEscape(attack), s.person("p1", read)); a.status != http.StatusNotFound {
			t.Errorf("id %q: %d", attack, a.status)
		}
		body := fmt.Sprintf(`{"receipt":%q,"code":%q}`, attack, attack)
		if a := s.do(http.MethodPost, "/v1/claims", s.person("p1", cases.ScopeClaim), body, header{"Idempotency-Key", "'OR'1'='1" + fmt.Sprint(i)}); a.status != http.StatusBadRequest {
			t.Errorf("claim %q: %d", attack, a.status)
		}
	}
	if a := s.get("/v1/cases/"+c.Case.ID, s.person("p1", read)); a.status != http.StatusOK {
		t.Error("the case is gone")
	}
}

func TestAttack_G15_NoOriginIsAllowed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.seed(1, "p1")
	token := s.person("p1", read)
	for _, origin := range []string{"https://evil.example", "null", "http://localhost:8081", "http://localhost:8082", "http://localhost:8081.evil.example"} {
		for _, path := range []string{"/v1/cases", "/v1/cases/" + c.Case.ID, "/v1/claims", "/openapi.json", "/.well-known/oauth-protected-resource", "/nowhere"} {
			for _, method := range []string{http.MethodGet, http.MethodOptions} {
				a := s.do(method, path, token, "", header{"Origin", origin}, header{"Access-Control-Request-Method", "GET"}, header{"Access-Control-Request-Headers", "authorization"})
				for name := range a.header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s %s from %s: %s", method, path, origin, name)
					}
				}
			}
		}
	}
}

func TestAttack_G02_EveryAnswerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	token := s.person("p1", read)
	for path, want := range map[string]string{
		"/v1/cases": "application/json", "/v1/cases/<script>": "application/problem+json", "/<b>": "application/problem+json", "/v1/cases?limit=<img>": "application/problem+json",
		"/openapi.json": "application/json", "/openapi.yaml": "application/yaml", "/.well-known/oauth-protected-resource": "application/json",
	} {
		a := s.get(strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path), token)
		if a.header.Get("Content-Type") != want || strings.Contains(string(a.body), "<") && want != "application/yaml" {
			t.Errorf("%s: %s\n%s", path, a.header.Get("Content-Type"), a.body)
		}
	}
}

func TestAttack_I04_CompressedBodiesAreRefusedUnread(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte{' '}, 1<<20))
	_ = z.Close()
	token := s.person("p1", cases.ScopeClaim)
	for _, encoding := range []string{"gzip", "deflate", "br", "identity", "gzip, gzip", "x"} {
		a := s.do(http.MethodPost, "/v1/claims", token, bomb.String(), header{"Content-Encoding", encoding}, header{"Idempotency-Key", "k-00000001"})
		if a.status != http.StatusUnsupportedMediaType || a.code() != "unsupported_media_type" {
			t.Errorf("%s: %d %s", encoding, a.status, a.body)
		}
	}
}

func TestAttack_I15_PublicDocumentsDependOnNothingInTheRequest(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, path := range []string{"/openapi.yaml", "/openapi.json", "/.well-known/oauth-protected-resource"} {
		golden := s.get(path, "")
		if golden.status != http.StatusOK || golden.header.Get("Cache-Control") != "public, max-age=300" || golden.header.Get("Vary") != "" {
			t.Fatalf("%s: %v", path, golden.header)
		}
		for _, h := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Original-Url", "X-Host", "Accept-Language", "Accept", "Cookie", "Range", "X-Http-Method-Override"} {
			if a := s.get(path+"?x=evil.example", "", header{h, "evil.example"}); !sameAnswer(a, golden) {
				t.Errorf("%s: %s changes the answer", path, h)
			}
		}
		req := httptest.NewRequest(http.MethodGet, s.url+path, nil)
		req.RequestURI, req.Host = "", "evil.example"
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if !bytes.Equal(body, golden.body) {
			t.Errorf("%s: the Host header changes the answer", path)
		}
		if a := s.get(path, "", header{"If-None-Match", golden.header.Get("ETag")}); a.status != http.StatusNotModified {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
