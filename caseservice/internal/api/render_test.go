package api

import (
	"testing"
	"time"
)

func TestAppendTime_HasMicroseconds(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 12, 0, 0, 120_000_000, time.UTC), time.Date(2026, 11, 24, 12, 0, 0, 123_456_789, time.UTC),
		time.Date(2026, 12, 15, 9, 30, 0, 999_999_999, time.FixedZone("", -5*3600)), time.Date(1960, 2, 29, 23, 59, 59, 1_999, time.FixedZone("", 5*3600+1800)), time.UnixMicro(-1).UTC(),
	} {
		const moment = "2006-01-02T15:04:05.999999Z07:00"
		if got, want := string(appendTime(nil, `{"at":"`, at)), `{"at":"`+at.Format(moment)+`"`; got != want {
			t.Errorf("%s in place of %s", got, want)
		}
	}
}
