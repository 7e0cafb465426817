package feed

import (
	"strconv"
	"time"
)

// SETType is the typ of a security event token (RFC 8417 §2.3).
const SETType = "secevent+jwt"

// types are the names of events. Those of CAEP and RISC mean there what they mean here; for the others there is no standard.
var types = map[Kind]string{
	Session: "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
	Grant:   "urn:ellis:events:grant-revoked",
	Token:   "urn:ellis:events:token-revoked",
	Account: "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
	Client:  "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
	Key:     "urn:ellis:events:key-revoked",
	Epoch:   "urn:ellis:events:epoch-raised",
}

// Claims are those of a security event token (RFC 8417 §2.2) with a subject of RFC 9493.
type Claims struct {
	Issuer   string          `json:"iss"`
	Audience string          `json:"aud"`
	JTI      string          `json:"jti"`
	Issued   int64           `json:"iat"`
	Occurred float64         `json:"toe"` // when it was committed, to the millisecond
	Subject  Subject         `json:"sub_id"`
	Events   map[string]Fact `json:"events"`
}

// Subject is an identifier that means something at one API alone (RFC 9493 §3.2.7).
type Subject struct {
	Format string `json:"format"`
	ID     string `json:"id"`
}

// Fact is the payload of an event.
type Fact struct {
	// At is when it happened, in seconds, rounded up: what an account, a client or everybody was issued until then is void.
	At int64 `json:"event_timestamp"`
}

// Pairwise derives what an audience knows something by. It is implemented by keyring.Ring.
type Pairwise interface {
	Pairwise(kind, audience, internal string) string
}

// Claims says an event as its API understands it: by the identifiers in that API's tokens. jti is always the same for the same
// event, and says nothing at another API. line is the name of the line.
func (e Event) Claims(p Pairwise, issuer, audience, line string, now time.Time) Claims {
	seconds := e.At.Unix()
	if e.At.Nanosecond() > 0 {
		seconds++
	}
	return Claims{
		Issuer: issuer, Audience: audience, JTI: p.Pairwise("set", "api:"+e.API, line+"\x00"+strconv.FormatInt(e.Seq, 10)),
		Issued: now.Unix(), Occurred: float64(e.At.UnixMilli()) / 1000, Subject: Subject{"opaque", e.subject(p)},
		Events: map[string]Fact{types[e.Kind]: {seconds}},
	}
}

func (e Event) subject(p Pairwise) string {
	switch e.Kind {
	case Session:
		return p.Pairwise("sid", "api:"+e.API, e.Ref)
	case Grant:
		return p.Pairwise("txn", "api:"+e.API, e.Ref)
	case Account:
		return p.Pairwise("api", e.API, e.Ref)
	}
	return e.Ref
}
