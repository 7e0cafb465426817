package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Words for dates and durations. The names of months are month.1 … month.12.
const (
	keyDate      Key = "format.date"      // Month, Day, Year
	keyDateTime  Key = "format.date_time" // Date, Hour, Minute, Half
	keyMorning   Key = "format.am"
	keyAfternoon Key = "format.pm"
	keySeconds   Key = "format.seconds" // Count
	keyMinutes   Key = "format.minutes" // Count
	keyHours     Key = "format.hours"   // Count
	keyDays      Key = "format.days"    // Count
)

// MonthKey returns the key of a month's name.
func MonthKey(m time.Month) Key { return Key(fmt.Sprintf("month.%d", int(m))) }

// Date writes a day in full, in UTC: "November 24, 2026", "24 de noviembre de 2026". The zero time is empty.
func (l Lang) Date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return l.Text(keyDate, "Month", l.Text(MonthKey(t.Month())), "Day", t.Day(), "Year", t.Year())
}

// DateTime writes a minute in full, in UTC, which it names: no page knows where its reader is. The zero time is empty.
func (l Lang) DateTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	half := keyMorning
	if t.Hour() >= 12 {
		half = keyAfternoon
	}
	return l.Text(keyDateTime, "Date", l.Date(t), "Hour", (t.Hour()+11)%12+1, "Minute", fmt.Sprintf("%02d", t.Minute()), "Half", l.Text(half))
}

// Duration writes how long something lasts in its one fitting unit, rounded up: nobody is asked to come back too early.
func (l Lang) Duration(d time.Duration) string {
	switch {
	case d <= 90*time.Second:
		return l.Text(keySeconds, "Count", max(1, ceil(d, time.Second)))
	case d <= 90*time.Minute:
		return l.Text(keyMinutes, "Count", ceil(d, time.Minute))
	case d <= 48*time.Hour:
		return l.Text(keyHours, "Count", ceil(d, time.Hour))
	}
	return l.Text(keyDays, "Count", ceil(d, 24*time.Hour))
}

func ceil(d, unit time.Duration) int { return int((d + unit - 1) / unit) }

// Country is a country by its ISO 3166-1 alpha-2 code, with its name in one language.
type Country struct{ Code, Name string }

//go:generate go run countries/generate.go

//go:embed countries/*.json
var countryFiles embed.FS

var countries = sync.OnceValue(func() map[Lang][]Country {
	out := map[Lang][]Country{}
	for _, l := range Languages() {
		data, err := countryFiles.ReadFile("countries/" + string(l) + ".json")
		var rows [][2]string
		if err == nil {
			err = json.Unmarshal(data, &rows)
		}
		if err != nil {
			panic("i18n: embedded countries: " + err.Error())
		}
		for _, row := range rows {
			out[l] = append(out[l], Country{row[0], row[1]})
		}
	}
	return out
})

// Countries lists every country in the alphabetical order of the language. Callers must not change the slice.
func (l Lang) Countries() []Country {
	if list, ok := countries()[l]; ok {
		return list
	}
	return countries()[English]
}
