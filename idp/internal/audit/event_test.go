package audit_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
)

// The text has every member that an event has, as the tags say: one that it left out would be lost.
func TestEncode_IsWhatTheTagsSay(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	for _, odd := range []string{"", "plain", `"quoted\"`, "<é&>", "\x00\n\x7f\u2028\ufffd\xff", "\U0001F600"} {
		var e audit.Event
		if odd != "" {
			e.Seen = &audit.Seen{}
			fill(reflect.ValueOf(&e).Elem(), odd)
			fill(reflect.ValueOf(e.Seen).Elem(), odd)
			e.Detail = map[string]string{"b": odd, "a" + odd: "1", "c": ""}
		}
		for _, seen := range []*audit.Seen{e.Seen, nil, {}} {
			e.Seen = seen
			compare(t, at, e)
		}
	}
	compare(t, at.Truncate(time.Second), audit.Event{Detail: map[string]string{}})
	if _, err := audit.Encode(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), audit.Event{}); err == nil {
		t.Error("a year that has no text is written")
	}
}

func fill(v reflect.Value, odd string) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			f.SetString(v.Type().Field(i).Name + odd)
		}
	}
}

func compare(t *testing.T, at time.Time, e audit.Event) {
	t.Helper()
	want, err := json.Marshal(struct {
		At time.Time `json:"at"`
		audit.Event
	}{at.UTC().Truncate(time.Microsecond), e})
	if err != nil {
		t.Fatal(err)
	}
	got, err := audit.Encode(at, e)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got  %s\nwant %s, %v", got, want, err)
	}
}
