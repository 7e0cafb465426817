package storetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/unit"
)

// ClientStore is what Clients needs.
type ClientStore interface {
	unit.Committer
	client.Reader
	client.Source
}

// Clients checks registered clients.
func Clients[S ClientStore](t *testing.T, open func(*testing.T) S) {
	t.Run("a client comes back as it was registered", func(t *testing.T) { t.Parallel(); clientRoundTrip(t, open(t)) })
	t.Run("one of many registrations of an id wins", func(t *testing.T) { t.Parallel(); oneClient(t, open(t)) })
	t.Run("one of many changes to a version wins", func(t *testing.T) { t.Parallel(); oneClientChange(t, open(t)) })
}

func fullClient() client.Client {
	age := 300
	_, hash := client.NewSecret()
	at := time.Date(2026, 11, 24, 12, 0, 0, 123000, time.UTC)
	return client.Client{
		ID: "portal", Name: "Portal «ñ»", URI: "https://portal.example", ApplicationType: client.Web,
		RedirectURIs: []string{"https://portal.example/cb"}, PostLogoutRedirectURIs: []string{"https://portal.example/bye"},
		GrantTypes: []string{client.GrantCode, client.GrantRefresh}, ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		Scope: "openid cases:read", APIs: []string{"cases"}, TokenEndpointAuth: client.AuthPrivateKey, TokenEndpointAuthAlg: "ES256",
		JWKS: client.KeySet(`{"keys":[]}`), IDTokenAlg: "ES256", SubjectType: client.Public, DefaultMaxAge: &age,
		DefaultACRValues: []string{"urn:ellis:aal2"}, Disabled: true, SecretHash: hash, CreatedAt: at, UpdatedAt: at, Version: 1,
	}
}

func clientRoundTrip(t *testing.T, s ClientStore) {
	if _, err := s.Client(t.Context(), "portal"); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	want := fullClient()
	commit(t, s, client.Create{Client: want})
	got, err := s.Client(t.Context(), "portal")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v, %v", got, want, err)
	}
	bare := client.Client{ID: "a", Name: "A", CreatedAt: want.CreatedAt}
	commit(t, s, client.Create{Client: bare})
	list, err := s.Clients(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != "a" || list[0].DefaultMaxAge != nil || list[0].SecretHash != [32]byte{} {
		t.Fatalf("got %+v, %v", list, err)
	}
}

func oneClient(t *testing.T, s ClientStore) {
	wins := Race(t, func(int) error {
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{client.Create{Client: fullClient()}}})
	})
	if wins != 1 {
		t.Fatalf("%d clients have one id", wins)
	}
}

func oneClientChange(t *testing.T, s ClientStore) {
	c := fullClient()
	commit(t, s, client.Create{Client: c})
	v := versionOf(t, s.ClientsVersion)
	wins := Race(t, func(i int) error {
		var w unit.Write = client.Update{Client: c}
		switch i % 3 {
		case 1:
			w = client.RotateSecret{ID: c.ID, Hash: [32]byte{1}, At: c.CreatedAt, Version: 1}
		case 2:
			w = client.Delete{ID: c.ID, Version: 1}
		}
		return s.Commit(t.Context(), unit.Unit{Writes: []unit.Write{w}})
	})
	if wins != 1 {
		t.Fatalf("%d changes to one version", wins)
	}
	if now := versionOf(t, s.ClientsVersion); now != v+1 {
		t.Fatalf("version went from %d to %d", v, now)
	}
	clientChanges(t, s)
}

// clientChanges walks one client through update, secret and end.
func clientChanges(t *testing.T, s ClientStore) {
	c := fullClient()
	c.ID = "other"
	commit(t, s, client.Create{Client: c})
	up := c
	up.Name, up.SecretHash, up.UpdatedAt = "Other", [32]byte{9}, c.CreatedAt.Add(time.Hour)
	commit(t, s, client.Update{Client: up})
	got, err := s.Client(t.Context(), "other")
	if err != nil || got.Name != "Other" || got.Version != 2 || got.SecretHash != c.SecretHash || !got.CreatedAt.Equal(c.CreatedAt) || !got.UpdatedAt.Equal(up.UpdatedAt) {
		t.Fatalf("got %+v, %v", got, err)
	}
	commit(t, s, client.RotateSecret{ID: "other", Hash: [32]byte{5}, At: c.CreatedAt, Version: 2})
	if got, _ := s.Client(t.Context(), "other"); got.SecretHash != [32]byte{5} || got.Version != 3 {
		t.Fatalf("got %+v", got)
	}
	conflicts(t, s, client.Delete{ID: "other", Version: 2})
	commit(t, s, client.Delete{ID: "other", Version: 3})
	if _, err := s.Client(t.Context(), "other"); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}
