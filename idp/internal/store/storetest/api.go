package storetest

import (
	"reflect"
	"strconv"
	"testing"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/unit"
)

// APIStore is what APIs needs.
type APIStore interface {
	unit.Committer
	api.Source
}

// APIs checks registered APIs.
func APIs[S APIStore](t *testing.T, open func(*testing.T) S) {
	t.Run("an API comes back as it was registered, and changes by version", func(t *testing.T) { t.Parallel(); apiRoundTrip(t, open(t)) })
	t.Run("one of many APIs gets an audience, and one a scope", func(t *testing.T) { t.Parallel(); oneOwner(t, open(t)) })
}

func someAPI(id, audience string, scopes ...string) api.API {
	a := api.API{ID: id, Audience: audience, Name: map[string]string{"en": "Cases", "es": "Casos"}, SigningAlg: "ES256", Version: 1}
	for _, s := range scopes {
		a.Scopes = append(a.Scopes, api.Scope{Name: s, Words: map[string]string{"en": "See " + s, "es": "Ver " + s}})
	}
	return a
}

func apiRoundTrip(t *testing.T, s APIStore) {
	a, b := someAPI("cases", "https://cases.example", "cases:read", "cases:claim"), someAPI("mail", "https://mail.example", "mail:read")
	commit(t, s, api.Create{API: b})
	commit(t, s, api.Create{API: a})
	got, err := s.APIs(t.Context())
	if err != nil || !reflect.DeepEqual(got, []api.API{a, b}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	v := versionOf(t, s.APIsVersion)
	a.Scopes = a.Scopes[:1]
	commit(t, s, api.Update{API: a})
	conflicts(t, s, api.Update{API: a}) // its version moved on
	b.Scopes = append(b.Scopes, api.Scope{Name: "cases:claim"})
	commit(t, s, api.Update{API: b}) // the scope was given up
	b.Version, b.Audience = 2, a.Audience
	conflicts(t, s, api.Update{API: b})
	conflicts(t, s, api.Update{API: someAPI("nobody", "https://nobody.example")})
	got, err = s.APIs(t.Context())
	if err != nil || len(got) != 2 || got[0].Version != 2 || len(got[0].Scopes) != 1 || len(got[1].Scopes) != 2 || got[1].Audience != "https://mail.example" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if now := versionOf(t, s.APIsVersion); now != v+2 {
		t.Fatalf("version went from %d to %d", v, now)
	}
}

func oneOwner(t *testing.T, s APIStore) {
	audience := Race(t, func(i int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{api.Create{API: someAPI("a"+strconv.Itoa(i), "https://one.example")}}})
	})
	scope := Race(t, func(i int) error {
		id := "s" + strconv.Itoa(i)
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{api.Create{API: someAPI(id, "https://"+id+".example", "one:scope")}}})
	})
	if audience != 1 || scope != 1 {
		t.Fatalf("%d own the audience, %d the scope", audience, scope)
	}
}
