package feed_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/feed"
)

// badClaims are SETs that the issuer signed, and that are not as they have to be.
func badClaims(_ testing.TB, i *issuertest.Issuer) map[string]issuertest.Claims {
	good := i.Event(issuertest.GrantRevoked, "txn-bad")
	now := start.Unix()
	event := func(v any) issuertest.Claims {
		return good.With("events", map[string]any{issuertest.GrantRevoked: v})
	}
	at := map[string]any{"event_timestamp": now}
	return map[string]issuertest.Claims{
		"another issuer":      good.With("iss", "https://elsewhere.example"),
		"issuer with a slash": good.With("iss", i.URL+"/"),
		"no issuer":           good.With("iss", nil),
		"another audience":    good.With("aud", "http://localhost:9999"),
		"the issuer itself":   good.With("aud", i.URL),
		"two audiences":       good.With("aud", []string{issuertest.Audience, "http://localhost:9999"}),
		"no audience":         good.With("aud", nil),
		"no jti":              good.With("jti", nil),
		"jti as number":       good.With("jti", 7),
		"no iat":              good.With("iat", nil),
		"iat ahead":           good.With("iat", now+3600),
		"iat as text":         good.With("iat", "now"),
		"no events":           good.With("events", nil),
		"events empty":        good.With("events", map[string]any{}),
		"events as list":      good.With("events", []any{issuertest.GrantRevoked}),
		"two events":          good.With("events", map[string]any{issuertest.GrantRevoked: at, issuertest.SessionRevoked: at}),
		"event null":          event(nil),
		"event as text":       event("x"),
		"no timestamp":        event(map[string]any{}),
		"timestamp as text":   event(map[string]any{"event_timestamp": "1"}),
		"timestamp ahead":     event(map[string]any{"event_timestamp": now + 3600}),
		"timestamp negative":  event(map[string]any{"event_timestamp": -1}),
		"fraction":            event(map[string]any{"event_timestamp": 1.5}),
		"no subject":          good.With("sub_id", nil),
		"subject as text":     good.With("sub_id", "txn-bad"),
		"subject by address":  good.With("sub_id", map[string]any{"format": "email", "email": "a@example.org"}),
		"subject by iss_sub":  good.With("sub_id", map[string]any{"format": "iss_sub", "iss": i.URL, "sub": "x", "id": "txn-bad"}),
		"no format":           good.With("sub_id", map[string]any{"id": "txn-bad"}),
		"no id":               good.With("sub_id", map[string]any{"format": "opaque"}),
		"empty id":            good.With("sub_id", map[string]any{"format": "opaque", "id": ""}),
		"id with a space":     good.With("sub_id", map[string]any{"format": "opaque", "id": "a b"}),
		"long id":             good.With("sub_id", map[string]any{"format": "opaque", "id": strings.Repeat("x", 256)}),
		"toe as text":         good.With("toe", "now"),
		"toe ahead":           good.With("toe", now+3600),
		"toe huge":            good.With("toe", math.MaxFloat64),
		"deep":                event(map[string]any{"event_timestamp": now, "x": json.RawMessage(strings.Repeat("[", 50) + strings.Repeat("]", 50))}),
		"long":                event(map[string]any{"event_timestamp": now, "x": strings.Repeat("x", 9000)}),
	}
}

// refuses lets one answer hold a good SET and a bad one, and demands that neither counts, that nothing is forgotten, and that
// the feed goes on when the issuer has come to its senses.
func refuses(t *testing.T, name string, f *follower, jti string, text func() string) {
	t.Helper()
	f.stop()
	before, polls := f.refused.Load(), f.applied.Load()
	f.issuer.ForgetCursors()
	f.issuer.Revoke(issuertest.GrantRevoked, "txn-new")
	f.issuer.PublishText(jti, text)
	f.begin()
	f.until(name+" is refused", func() bool { return f.refused.Load() > before })
	f.stop()
	if f.applied.Load() != polls || f.Fresh() {
		t.Errorf("%s: applied %d, fresh %v", name, f.applied.Load()-polls, f.Fresh())
	}
	if got := f.check("txn", "txn-new"); got != "ok" { // by introspection
		t.Errorf("%s: half an answer counts: %s", name, got)
	}
	if got := f.check("txn", "txn-known"); got != "revoked" {
		t.Errorf("%s: what was known is forgotten: %s", name, got)
	}
}

func TestFollow_ABadSETRefusesTheAnswerAsAWhole(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.tell(issuertest.GrantRevoked, "txn-known")
	f.clock.Advance(feed.DefaultPatience + time.Second)
	for name, c := range badClaims(t, f.issuer) {
		jti, _ := c["jti"].(string)
		refuses(t, name, f, jti, func() string { return f.issuer.SignEvent(c) })
	}
	key := f.issuer.Key()
	evil := issuertest.Start(t, f.clock)
	good := f.issuer.Event(issuertest.GrantRevoked, "txn-bad")
	jti := good["jti"].(string)
	header := issuertest.Claims{"typ": "secevent+jwt", "alg": key.Algorithm, "kid": key.KeyID}
	for name, h := range map[string]issuertest.Claims{
		"typ JWT": header.With("typ", "JWT"), "typ at+jwt": header.With("typ", "at+jwt"), "typ logout+jwt": header.With("typ", "logout+jwt"), "no typ": header.With("typ", nil),
		"no kid": header.With("kid", nil), "unknown kid": header.With("kid", "x"), "crit": header.With("crit", []string{"x"}), "jwk": header.With("jwk", key.Public()),
		"alg RS256": header.With("alg", "RS256"), "alg none": header.With("alg", "none"), "alg HS256": header.With("alg", "HS256"),
	} {
		refuses(t, name, f, jti, func() string { return issuertest.Sign(key.Key, h, good) })
	}
	signed := f.issuer.SignEvent(good)
	for name, text := range map[string]string{
		"another's key": issuertest.Sign(evil.Key().Key, header, good), "unsigned": signed[:strings.LastIndex(signed, ".")+1], "altered": altered(signed),
		"an access token": f.issuer.Sign(f.issuer.Person("p1", "x")), "nothing": "", "padded": signed + "=",
	} {
		refuses(t, name, f, jti, func() string { return text })
	}
	refuses(t, "another name", f, "another", func() string { return signed })
	f.issuer.ForgetCursors()
	f.issuer.Revoke(issuertest.GrantRevoked, "txn-new")
	f.begin()
	f.until("fresh again", f.Fresh)
	f.want("revoked", f.check("txn", "txn-new"))
	f.want("revoked", f.check("txn", "txn-known"))
}

// altered changes the payload of a JWS and keeps its signature.
func altered(jws string) string {
	p := strings.Split(jws, ".")
	b, _ := base64.RawURLEncoding.DecodeString(p[1])
	return p[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), "txn-bad", "txn-BAD", 1))) + "." + p[2]
}

func TestFollow_AnAnswerThatIsNotUnderstoodMakesNothingFresh(t *testing.T) {
	t.Parallel()
	f := idle(t)
	say := func(status int, kind, body string) {
		f.issuer.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/events/poll" {
				return false
			}
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		})
	}
	many := map[string]string{}
	for n := range 101 {
		many[fmt.Sprint(n)] = "x"
	}
	const kind, good = "application/json", `{"sets":{},"moreAvailable":false,"cursor":"c"}`
	for name, a := range map[string]struct {
		status     int
		kind, body string
	}{
		"an error": {500, kind, good}, "a redirect": {302, kind, good}, "accepted": {202, kind, good}, "a page": {200, "text/html", good}, "no type": {200, "", good},
		"nothing": {200, kind, ""}, "a list": {200, kind, "[]"}, "no sets": {200, kind, `{"moreAvailable":false,"cursor":"c"}`}, "sets as list": {200, kind, `{"sets":[],"cursor":"c"}`},
		"no cursor": {200, kind, `{"sets":{}}`}, "empty cursor": {200, kind, `{"sets":{},"cursor":""}`}, "cursor as number": {200, kind, `{"sets":{},"cursor":1}`},
		"long cursor": {200, kind, `{"sets":{},"cursor":"` + strings.Repeat("c", 1025) + `"}`}, "sets twice": {200, kind, `{"sets":{},"sets":{},"cursor":"c"}`},
		"more as text": {200, kind, `{"sets":{},"moreAvailable":"no","cursor":"c"}`}, "set as number": {200, kind, `{"sets":{"a":1},"cursor":"c"}`},
		"too many": {200, kind, fmt.Sprintf(`{"sets":%s,"cursor":"c"}`, jsonOf(t, many))}, "too long": {200, kind, good + strings.Repeat(" ", 1<<20)},
		"rubbish behind": {200, kind, good + "x"}, "bad without a cursor": {400, kind, `{"err":"invalid_request"}`},
	} {
		say(a.status, a.kind, a.body)
		failures := strings.Count(f.log.String(), "could not be followed")
		f.begin()
		f.until(name, func() bool { return strings.Count(f.log.String(), "could not be followed") > failures })
		f.stop()
		if f.Fresh() {
			t.Errorf("%s: fresh", name)
		}
	}
	say(200, "application/json; charset=utf-8", good)
	f.begin()
	f.until("fresh", f.Fresh)
}

func FuzzSET(f *testing.F) {
	i := idle(f)
	good := i.issuer.Event(issuertest.GrantRevoked, "txn-1").With("jti", "set-1")
	signed := i.issuer.SignEvent(good)
	payload := func(text string) string {
		k := i.issuer.Key()
		return issuertest.SignRaw(k.Key, "ES256", []byte(`{"typ":"secevent+jwt","alg":"ES256","kid":"`+k.KeyID+`"}`), []byte(text))
	}
	f.Add("", signed)
	f.Add(string(jsonOf(f, good)), "")
	f.Add(`{"events":{"a":{},"a":{}}}`, "..")
	f.Fuzz(func(t *testing.T, claims, text string) {
		if claims != "" {
			text = payload(claims) // what the parser says when a signature is good
		}
		jws, err := i.Read(text, "set-1")
		if err != nil {
			return
		}
		if string(jws.Claims["iss"]) == "" || len(jws.Claims["events"]) == 0 || len(text) > 8<<10 {
			t.Fatalf("%q passed", text)
		}
	})
}
