package i18n_test

import (
	"testing"
	"time"

	"ellis.example/idp/internal/i18n"
)

func TestDates_AreWrittenAsTheLanguageDoes(t *testing.T) {
	t.Parallel()
	afternoon := time.Date(2026, time.November, 24, 11, 10, 59, 0, time.FixedZone("EST", -5*3600))
	midnight := time.Date(2026, time.January, 1, 0, 5, 0, 0, time.UTC)
	cases := []struct{ got, want string }{
		{i18n.English.Date(afternoon), "November 24, 2026"},
		{i18n.Spanish.Date(afternoon), "24 de noviembre de 2026"},
		{i18n.English.DateTime(afternoon), "November 24, 2026, 4:10\u00a0PM\u00a0UTC"},
		{i18n.Spanish.DateTime(afternoon), "24 de noviembre de 2026, 4:10\u00a0p.\u00a0m.\u00a0UTC"},
		{i18n.English.DateTime(midnight), "January 1, 2026, 12:05\u00a0AM\u00a0UTC"},
		{i18n.Spanish.DateTime(midnight.Add(12 * time.Hour)), "1 de enero de 2026, 12:05\u00a0p.\u00a0m.\u00a0UTC"},
		{i18n.English.Date(time.Time{}) + i18n.Spanish.DateTime(time.Time{}), ""},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestDurations_AreRoundedUpToOneUnit(t *testing.T) {
	t.Parallel()
	cases := []struct {
		d      time.Duration
		en, es string
	}{
		{0, "1 second", "1 segundo"},
		{1500 * time.Millisecond, "2 seconds", "2 segundos"},
		{90 * time.Second, "90 seconds", "90 segundos"},
		{91 * time.Second, "2 minutes", "2 minutos"},
		{10 * time.Minute, "10 minutes", "10 minutos"},
		{91 * time.Minute, "2 hours", "2 horas"},
		{49 * time.Hour, "3 days", "3 días"},
	}
	for _, c := range cases {
		if en, es := i18n.English.Duration(c.d), i18n.Spanish.Duration(c.d); en != c.en || es != c.es {
			t.Errorf("%v: %q, %q", c.d, en, es)
		}
	}
}

func TestText_PutsValuesInTheirLanguageAndChoosesThePlural(t *testing.T) {
	t.Parallel()
	cases := []struct{ got, want string }{
		{i18n.Spanish.Text("error.too_many", "Wait", 3*time.Minute), "Demasiados intentos. Inténtelo de nuevo en 3 minutos."},
		{i18n.English.Text("notice.sessions_ended", "Count", 1), "1 session is signed out."},
		{i18n.Spanish.Text("notice.sessions_ended", "Count", 0), "Se cerraron 0 sesiones."},
		{i18n.English.Text("no.such_key"), "no.such_key"},
		{i18n.Lang("xx").Text("menu.signout"), "Sign out"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if i18n.Spanish.Has("no.such_key") || !i18n.Spanish.Has("menu.signout") || !i18n.Spanish.Has("notice.sessions_ended") {
		t.Error("Has is wrong")
	}
}

func TestCountries_AreTheSameInBothLanguagesAndInOrder(t *testing.T) {
	t.Parallel()
	en, es := i18n.English.Countries(), i18n.Spanish.Countries()
	names := map[string]string{}
	for _, c := range es {
		names[c.Code] = c.Name
	}
	if len(en) != len(es) || len(names) != len(es) || len(en) < 240 {
		t.Fatalf("%d and %d countries", len(en), len(es))
	}
	for _, c := range en {
		if names[c.Code] == "" {
			t.Errorf("Spanish lacks %s", c.Code)
		}
	}
	if names["ES"] != "España" || names["MX"] != "México" || en[0].Code != "AF" || es[0].Code != "AF" || en[1].Code != "AX" || es[1].Code != "AL" {
		t.Errorf("first are %v and %v", en[:2], es[:2])
	}
}

func TestNegotiate_TakesTheFirstWishThatCanBeMet(t *testing.T) {
	t.Parallel()
	cases := []struct {
		uiLocales, cookie, accept string
		want                      i18n.Lang
	}{
		{"", "", "", i18n.English},
		{"es-MX en", "en", "en", i18n.Spanish},
		{"xx zz", "es", "en", i18n.Spanish},
		{"", "", "es-419,es;q=0.9,en;q=0.8", i18n.Spanish},
		{"", "", "fr,es;q=0.5", i18n.Spanish},
		{"", "", "fr", i18n.English},
		{"", "../etc", "en", i18n.English},
		{"", "", string(make([]byte, 5000)), i18n.English},
		{"not a tag!", "", ";;;q=x", i18n.English},
	}
	for _, c := range cases {
		if got := i18n.Negotiate(c.uiLocales, c.cookie, c.accept); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func FuzzNegotiate_AlwaysAnswersALanguageThatWeHave(f *testing.F) {
	f.Add("es", "en", "es-MX,en;q=0.1")
	f.Add("\xff", "", "*;q=0")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if _, ok := i18n.Parse(string(i18n.Negotiate(a, b, c))); !ok {
			t.Errorf("%q %q %q", a, b, c)
		}
	})
}
