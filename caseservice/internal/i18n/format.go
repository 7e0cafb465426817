package i18n

import (
	"fmt"
	"time"
)

// Words for dates and durations. The names of months are month.1 … month.12, those of days weekday.0 (Sunday) …
const (
	keyDate      Key = "format.date"      // Month, Day, Year
	keyDateTime  Key = "format.date_time" // Date, Time
	keyLocal     Key = "format.local"     // Weekday, Date, Time
	keyTime      Key = "format.time"      // Hour, Minute, Half
	keyMorning   Key = "format.am"
	keyAfternoon Key = "format.pm"
	keySeconds   Key = "format.seconds" // Count
	keyMinutes   Key = "format.minutes" // Count
	keyHours     Key = "format.hours"   // Count
	keyDays      Key = "format.days"    // Count
)

// Date writes a day in full, as it is in the offset that t carries: "November 24, 2026", "24 de noviembre de 2026". The
// zero time is empty.
func (l Lang) Date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	month := Key(fmt.Sprintf("month.%d", int(t.Month())))
	return l.Text(keyDate, "Month", l.Text(month), "Day", t.Day(), "Year", t.Year())
}

// DateTime writes a minute in full, in UTC, which it names: no page knows where its reader is. The zero time is empty.
func (l Lang) DateTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return l.Text(keyDateTime, "Date", l.Date(t), "Time", l.clock(t))
}

// Local writes day of the week, day and minute as the clocks show them at the place whose offset t carries. The zero time
// is empty.
func (l Lang) Local(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	weekday := Key(fmt.Sprintf("weekday.%d", int(t.Weekday())))
	return l.Text(keyLocal, "Weekday", l.Text(weekday), "Date", l.Date(t), "Time", l.clock(t))
}

// Offset writes the offset that t carries, with a real minus sign: "UTC−05:00".
func Offset(t time.Time) string {
	_, seconds := t.Zone()
	sign := "+"
	if seconds < 0 {
		sign, seconds = "−", -seconds
	}
	return fmt.Sprintf("UTC%s%02d:%02d", sign, seconds/3600, seconds/60%60)
}

func (l Lang) clock(t time.Time) string {
	half := keyMorning
	if t.Hour() >= 12 {
		half = keyAfternoon
	}
	return l.Text(keyTime, "Hour", (t.Hour()+11)%12+1, "Minute", fmt.Sprintf("%02d", t.Minute()), "Half", l.Text(half))
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
