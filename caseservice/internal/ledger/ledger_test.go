package ledger_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ellis.example/caseservice/internal/ledger"
)

// The text of an entry is what old hashes were made over: if this test fails, every ledger written so far would.
func TestEncode_TextIsFrozen(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)
	full := ledger.Entry{Act: "case.read", Outcome: ledger.Refused, Reason: "no_relationship", Case: "cas_1", Sub: "s", Client: "c",
		Txn: "t", JTI: "j", Actor: "operator:o", Purpose: ledger.SelfService, Request: "r"}
	for want, e := range map[string]ledger.Entry{
		`{"at":1795521600123456,"act":"case.read","outcome":"refused","reason":"no_relationship","case":"cas_1","sub":"s","client_id":"c",` +
			`"txn":"t","jti":"j","actor":"operator:o","purpose":"self_service","request":"r"}`: full,
		`{"at":1795521600123456,"act":"cases.count","outcome":"allowed"}`: {Act: "cases.count", Outcome: ledger.Allowed},
	} {
		if got := ledger.Encode(at, e); string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAttack_G08_NoTextBreaksOutOfItsLine(t *testing.T) {
	t.Parallel()
	e := ledger.Entry{Act: "a", Outcome: ledger.Allowed, Sub: "x\n{\"act\":\"forged\"}\r\x1b[2J\u202e\x00\u2028"}
	if got := ledger.Encode(time.Unix(0, 0), e); bytes.ContainsAny(got, "\n\r\x1b\x00") {
		t.Errorf("%q", got)
	}
}

// The text has every member that an entry has, as the tags say: one that it left out would not be bound.
func TestEncode_IsWhatTheTagsSay(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"", "plain", `"quoted\"`, "<é&>", "\x00\n\x7f\u2028\ufffd\xff", "\U0001F600"} {
		var e ledger.Entry
		v := reflect.ValueOf(&e).Elem()
		for i := range v.NumField() {
			if odd != "" {
				v.Field(i).SetString(v.Type().Field(i).Name + odd)
			}
		}
		want, err := json.Marshal(struct {
			At int64 `json:"at"`
			ledger.Entry
		}{-1, e})
		if err != nil {
			t.Fatal(err)
		}
		if got := ledger.Encode(time.UnixMicro(-1), e); !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
