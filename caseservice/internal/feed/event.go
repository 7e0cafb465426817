package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/strictjson"
)

// kind says which member of a token an event names.
type kind uint8

const (
	unknown  kind = iota // an event of a type that this release does not know
	sessions             // sid
	grants               // txn
	tokens               // jti
	accounts             // sub, of tokens issued until the event
	keys                 // kid
	epochs               // every token issued until the event
)

// types are the events that the issuer sends, with their names in metrics.
var types = map[string]struct {
	kind kind
	name string
}{
	"https://schemas.openid.net/secevent/caep/event-type/session-revoked":  {sessions, "session-revoked"},
	"urn:ellis:events:grant-revoked":                                       {grants, "grant-revoked"},
	"urn:ellis:events:token-revoked":                                       {tokens, "token-revoked"},
	"https://schemas.openid.net/secevent/risc/event-type/account-disabled": {accounts, "account-disabled"},
	"urn:ellis:events:key-revoked":                                         {keys, "key-revoked"},
	"urn:ellis:events:epoch-raised":                                        {epochs, "epoch-raised"},
}

// event is what one SET says.
type event struct {
	kind kind
	name string    // of its type, for metrics
	id   string    // of the session, grant, token, account or key
	at   int64     // seconds since 1970, rounded up: for accounts and epochs, tokens issued until then are void
	toe  time.Time // when it happened (RFC 8417 §2.2); zero: it does not say
}

const (
	setType   = "secevent+jwt" // RFC 8417 §2.3: no other kind of token passes for an event, and no event for another
	maxID     = 255
	maxSecond = 253402300799 // the end of the year 9999
)

var (
	errIssuer   = errors.New("it is of another issuer")
	errAudience = errors.New("it is for another audience")
	errJTI      = errors.New("its jti is not the name under which it came")
	errSubject  = errors.New("its subject is not one opaque identifier")
	errEvents   = errors.New("it does not hold exactly one event")
	errTime     = errors.New("its time is missing, malformed or ahead of our clock")
)

// read reads a SET that came under the name jti. Nothing of it is true before its signature was verified.
func (f *Feed) read(text, jti string) (issuer.JWS, event, error) {
	jws, err := issuer.Parse(text, setType)
	if err != nil {
		return jws, event{}, err
	}
	if err := f.checkAddress(jws.Claims, jti); err != nil {
		return jws, event{}, err
	}
	e, err := eventOf(jws.Claims)
	if err != nil {
		return jws, e, err
	}
	if limit := f.clock.Now().Add(clock.Skew); e.at > limit.Unix() || e.toe.After(limit) {
		return jws, e, errTime
	}
	return jws, e, nil
}

// checkAddress checks who made the SET, for whom, and that it is the one that was announced (RFC 8417 §2.2).
func (f *Feed) checkAddress(claims map[string]json.RawMessage, jti string) error {
	if iss, err := issuer.String(claims, "iss"); err != nil || iss != f.issuer.URL() {
		return errIssuer
	}
	if aud, ok := issuer.SoleAudience(claims); !ok || aud != f.audience {
		return errAudience
	}
	if id, err := issuer.Visible(claims, "jti", maxID); err != nil || id == "" || id != jti {
		return errJTI
	}
	iat, ok, err := issuer.Seconds(claims, "iat")
	if err != nil || !ok || clock.Future(time.Unix(iat, 0), f.clock.Now()) {
		return errTime
	}
	return nil
}

// eventOf reads the one event of a SET, and whom it is about (RFC 9493 §3.2.4).
func eventOf(claims map[string]json.RawMessage) (event, error) {
	all, err := strictjson.Object(claims["events"])
	if err != nil || len(all) != 1 {
		return event{}, errEvents
	}
	var e event
	var payload json.RawMessage
	for uri, raw := range all {
		t := types[uri]
		e.kind, e.name, payload = t.kind, t.name, raw
	}
	body, err := strictjson.Object(payload)
	if err != nil {
		return e, errEvents
	}
	if e.toe, err = timeOfEvent(claims["toe"]); err != nil {
		return e, err
	}
	if e.kind == unknown {
		e.name = "unknown"
		return e, nil
	}
	at, ok, err := issuer.Seconds(body, "event_timestamp")
	if err != nil || !ok {
		return e, errTime
	}
	e.at = at
	e.id, err = subject(claims["sub_id"])
	return e, err
}

func subject(raw json.RawMessage) (string, error) {
	sub, err := strictjson.Object(raw)
	if err != nil {
		return "", errSubject
	}
	format, err1 := issuer.String(sub, "format")
	id, err2 := issuer.Visible(sub, "id", maxID)
	if err1 != nil || err2 != nil || format != "opaque" || id == "" {
		return "", errSubject
	}
	return id, nil
}

// timeOfEvent reads a NumericDate that may have a fraction.
func timeOfEvent(raw json.RawMessage) (time.Time, error) {
	if raw == nil {
		return time.Time{}, nil
	}
	var s float64
	if raw[0] == '"' || raw[0] == 'n' || json.Unmarshal(raw, &s) != nil || s < 0 || s > maxSecond {
		return time.Time{}, errTime
	}
	return time.UnixMicro(int64(s * 1e6)).UTC(), nil
}

// bad says which SET of an answer is at fault. The name is the issuer's: it is quoted, and cut.
func bad(jti string, why error) error { return fmt.Errorf("%w: SET %.64q: %w", errRefused, jti, why) }
