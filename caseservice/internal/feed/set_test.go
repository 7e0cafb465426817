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
	"ellis.example/caseservice/internal/clock"
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

// refuses lets one answer hold a good SET and a bad one, and demands that the good one counts and the bad one does not, that
// nothing is forgotten, and that the answer makes nothing fresh.
func refuses(t *testing.T, name string, f *follower, jti string, text func() string) {
	t.Helper()
	f.stop()
	before, applied := f.refused.Load(), f.applied.Load()
	f.issuer.ForgetCursors()
	f.issuer.Revoke(issuertest.GrantRevoked, "txn-new")
	f.issuer.PublishText(jti, text)
	f.begin()
	f.until(name+" is refused", func() bool { return f.refused.Load() > before })
	f.stop()
	if n := f.applied.Load() - applied; n != 1 || f.Fresh() || f.passed.Load() != 0 {
		t.Errorf("%s: applied %d, fresh %v, passed over %d", name, n, f.Fresh(), f.passed.Load())
	}
	f.want("revoked", f.check("txn", "txn-new"))
	f.want("revoked", f.check("txn", "txn-known"))
	f.want("ok", f.check("txn", "txn-bad")) // by introspection
}

func TestFollow_ABadSETMakesNothingFresh(t *testing.T) {
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
	f.begin()
	f.until("fresh again", f.Fresh)
	f.want("revoked", f.check("txn", "txn-new"))
	f.want("revoked", f.check("txn", "txn-known"))
}

// What was bad at first, because a key or a clock was not there yet, counts in full when it is good.
func TestFollow_ASETThatIsGoodAtTheNextTryCounts(t *testing.T) {
	t.Parallel()
	f := following(t)
	c := f.issuer.Event(issuertest.GrantRevoked, "txn-late").With("iat", start.Add(clock.Skew+4*time.Second).Unix())
	f.issuer.Publish(c)
	f.until("it is refused", func() bool { return f.refused.Load() > 0 })
	f.want("ok", f.check("txn", "txn-late"))
	f.clock.Advance(4 * time.Second)
	f.until("it took effect", func() bool { return f.applied.Load() == 1 })
	f.until("fresh", f.Fresh)
	f.want("revoked", f.check("txn", "txn-late"))
	if f.passed.Load() != 0 || f.issuer.Asked() != 0 {
		t.Errorf("%d passed over, %d asked about", f.passed.Load(), f.issuer.Asked())
	}
}

// One that stays bad is gone on without, once: until no token can be meant that was issued before, each is asked about.
func TestFollow_ASETThatStaysBadIsPassedOverAndTokensAreAskedAboutMeanwhile(t *testing.T) {
	t.Parallel()
	f := following(t)
	jti, text := "set-bad", func() string { return "no.set.at-all" }
	f.issuer.PublishText(jti, text)
	f.until("it is refused", func() bool { return f.refused.Load() > 0 })
	f.clock.Advance(feed.PassAfter - time.Second)
	f.issuer.PublishText("set-bad-later", text) // it has its own time
	f.tell(issuertest.GrantRevoked, "txn-1")
	f.clock.Advance(time.Second)
	refused, fetched := f.refused.Load(), f.issuer.KeyFetches()
	f.until("both are refused", func() bool { return f.refused.Load() > refused+2 })
	if f.passed.Load() != 0 {
		t.Fatal("the later one is passed over before its time")
	}
	if n := f.applied.Load(); n != 1 {
		t.Errorf("the good one was applied %d times", n)
	}
	f.clock.Advance(feed.PassAfter)
	f.until("they are passed over", func() bool { return f.passed.Load() == 2 })
	if f.issuer.KeyFetches() == fetched || !f.said(`"level":"ERROR"`) {
		t.Error("the keys were not fetched anew, or nobody was told")
	}
	f.tell(issuertest.GrantRevoked, "txn-2") // the feed goes on
	f.issuer.Deactivate("gone")
	f.want("revoked", f.check("jti", "gone"))
	f.want("ok", f.check())
	asked := f.issuer.Asked()
	if asked < 2 || f.Fresh() {
		t.Errorf("asked %d times, fresh %v", asked, f.Fresh())
	}
	f.clock.Advance(feed.Keep - 2*time.Second)
	f.until("it was heard of", func() bool { return f.Age() < time.Second })
	if f.Fresh() {
		t.Error("fresh before the last token that may be meant has ended")
	}
	f.clock.Advance(2 * time.Second)
	f.until("fresh again", f.Fresh)
	f.want("ok", f.check())
	if n := f.passed.Load(); n != 2 || f.issuer.Asked() != asked {
		t.Errorf("%d passed over, asked %d times, %d before", n, f.issuer.Asked(), asked)
	}
}

// The time of a bad one is counted anew, or the feed would stand still for as long as the clock was fast.
func TestFollow_ABadSETIsPassedOverInTimeAfterAClockWasPutRight(t *testing.T) {
	t.Parallel()
	f := following(t)
	again := func() {
		t.Helper()
		n := f.refused.Load()
		f.until("it is refused", func() bool { return f.refused.Load() > n+1 })
	}
	f.issuer.PublishText("set-bad", func() string { return "no.set.at-all" })
	again()
	f.clock.Advance(-time.Hour)
	again()
	f.clock.Advance(feed.PassAfter - time.Second)
	again()
	if f.passed.Load() != 0 {
		t.Error("it is passed over before its time")
	}
	f.clock.Advance(time.Second)
	f.until("it is passed over", func() bool { return f.passed.Load() == 1 })
}

func TestFollow_WithoutTheKeysNothingIsPassedOver(t *testing.T) {
	t.Parallel()
	f := following(t)
	f.issuer.PublishText("set-bad", func() string { return "no.set.at-all" })
	f.until("it is refused", func() bool { return f.refused.Load() > 0 })
	f.issuer.WithoutKeys(true)
	f.clock.Advance(feed.PassAfter + time.Second)
	fetches := f.issuer.KeyFetches()
	f.until("the keys were asked for", func() bool { return f.issuer.KeyFetches() > fetches })
	time.Sleep(20 * time.Millisecond)
	if f.passed.Load() != 0 || f.Fresh() {
		t.Errorf("%d passed over, fresh %v", f.passed.Load(), f.Fresh())
	}
	f.issuer.WithoutKeys(false)
	f.clock.Advance(time.Minute) // a failed fetch is not tried again at once
	f.until("it is passed over", func() bool { return f.passed.Load() == 1 })
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
		"held as text": {200, kind, `{"sets":{},"cursor":"c","held":"1"}`}, "held below zero": {200, kind, `{"sets":{},"cursor":"c","held":-1}`}, "held with a fraction": {200, kind, `{"sets":{},"cursor":"c","held":1.5}`},
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
