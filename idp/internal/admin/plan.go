package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/client"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/unit"
)

// clientEntry is a client as it shall be, with the secret that it shall have; empty: as it is, or a new one.
type clientEntry struct {
	client.Client `yaml:",inline"`
	Secret        string `yaml:"client_secret"`
}

// planned is one change, worked out and not yet made. A unit without an event changes nothing.
type planned struct {
	unit   unit.Unit
	client ClientResult
	api    APIResult
	algs   []string
}

// planClient works out what brings a client to what e says. It validates e beside everything else.
func (s *state) planClient(e clientEntry, now time.Time, by string) (planned, error) {
	c := normal(e.Client)
	var lines []string
	for _, f := range flatten(c.Validate(s.known())) {
		lines = append(lines, "client "+c.ID+": "+f.Message)
	}
	if err := refuse(lines); err != nil {
		return planned{}, err
	}
	sec, err := secretFor(c, s.client(c.ID), e.Secret)
	if err != nil {
		return planned{}, err
	}
	p := planned{client: ClientResult{ID: c.ID, Change: Unchanged, Secret: sec.text}, algs: []string{c.IDTokenAlg}}
	if old := s.client(c.ID); old != nil {
		p.change(*old, c, sec, now, by)
		return p, nil
	}
	c.SecretHash, c.CreatedAt, c.UpdatedAt = sec.hash, now, now
	p.client.Change = Created
	p.unit = unit.Unit{Writes: []unit.Write{client.Create{Client: c}}, Event: clientEvent("client.created", c.ID, by)}
	return p, nil
}

// change fills in what leads from old to c.
func (p *planned) change(old, c client.Client, sec secret, now time.Time, by string) {
	fields := differ(normal(old), c)
	e := clientEvent("client.updated", c.ID, by)
	e.Detail = map[string]string{"changed": strings.Join(fields, " ")}
	version := old.Version
	if len(fields) > 0 {
		c.Version, c.UpdatedAt = old.Version, now
		p.unit.Writes = append(p.unit.Writes, client.Update{Client: c})
		version++
	}
	if sec.changed {
		p.unit.Writes = append(p.unit.Writes, client.RotateSecret{ID: c.ID, Hash: sec.hash, At: now, Version: version})
		e.Detail["secret"] = "changed"
		if len(fields) == 0 {
			e = clientEvent("client.secret_rotated", c.ID, by)
		}
	}
	if c.Disabled && !old.Disabled {
		p.unit.Writes = append(p.unit.Writes, grant.RevokeClient{Client: c.ID, At: now})
	}
	for _, id := range old.APIs {
		if !c.Disabled && !slices.Contains(c.APIs, id) {
			p.unit.Writes = append(p.unit.Writes, grant.RevokeAPI{Client: c.ID, API: id, At: now})
		}
	}
	if len(p.unit.Writes) > 0 {
		p.client.Change, p.unit.Event = Updated, e
	}
}

// secret is what becomes of a client's secret. text is there when it is to be shown.
type secret struct {
	text    string
	hash    [32]byte
	changed bool
}

// secretFor decides on the secret of c, which was old before (nil: new) and for which given is asked.
func secretFor(c client.Client, old *client.Client, given string) (secret, error) {
	var had [32]byte
	if old != nil {
		had = old.SecretHash
	}
	switch {
	case !c.HasSecret() && given != "":
		return secret{}, refuse([]string{"client " + c.ID + ": client_secret: remove it: token_endpoint_auth_method " + c.TokenEndpointAuth + " uses none"})
	case !c.HasSecret():
		return secret{changed: had != [32]byte{}}, nil
	case given != "":
		h, err := client.HashSecret(given)
		return secret{text: given, hash: h, changed: h != had}, err
	case had != [32]byte{}:
		return secret{hash: had}, nil
	}
	text, h := client.NewSecret()
	return secret{text: text, hash: h, changed: true}, nil
}

// normal brings a client to the form in which two of them can be compared and in which it is kept.
func normal(c client.Client) client.Client {
	c = c.WithDefaults()
	if len(c.JWKS) > 0 {
		var v any
		d := json.NewDecoder(bytes.NewReader(c.JWKS))
		d.UseNumber()
		if d.Decode(&v) == nil {
			c.JWKS, _ = json.Marshal(v)
		}
	}
	return c
}

// differ names the metadata in which two clients differ.
func differ(a, b client.Client) (out []string) {
	x, y := fieldsOf(a), fieldsOf(b)
	for name := range x {
		if !reflect.DeepEqual(x[name], y[name]) {
			out = append(out, name)
		}
	}
	for name := range y {
		if _, had := x[name]; !had {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// fieldsOf returns the JSON members of what is registered.
func fieldsOf(v any) map[string]any {
	b, err := json.Marshal(v)
	m := map[string]any{}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		panic(err) // plain types of our own
	}
	return m
}

// checkServer checks the client that an API's own server is.
func (s *state) checkServer(a api.API) error {
	c := s.client(a.ClientID)
	switch {
	case a.ClientID == "":
		return nil
	case c == nil:
		return fault.New(fault.Invalid, "api_metadata", "client_id: no client "+strconv.Quote(a.ClientID)+" is registered").At("client_id")
	case c.WithDefaults().TokenEndpointAuth != client.AuthBasic:
		return fault.New(fault.Invalid, "api_metadata", "client_id: let "+strconv.Quote(a.ClientID)+" authenticate with "+client.AuthBasic).At("client_id")
	}
	return nil
}

// planAPI works out what brings an API to what a says.
func (s *state) planAPI(a api.API, by string) (planned, error) {
	a = a.WithDefaults()
	var lines []string
	for _, f := range flatten(errors.Join(a.Validate(s.apis), s.checkServer(a))) {
		lines = append(lines, "API "+a.ID+": "+f.Message)
	}
	if err := refuse(lines); err != nil {
		return planned{}, err
	}
	e := audit.Event{Type: "api.created", Outcome: audit.Allowed, Actor: by, Detail: a.Facts()}
	p := planned{api: APIResult{a.ID, Unchanged}, algs: []string{a.SigningAlg}}
	old := s.api(a.ID)
	switch {
	case old == nil:
		p.api.Change, p.unit = Created, unit.Unit{Writes: []unit.Write{api.Create{API: a}}, Event: e}
	case !reflect.DeepEqual(fieldsOf(*old), fieldsOf(a)):
		a.Version, e.Type = old.Version, "api.updated"
		p.api.Change, p.unit = Updated, unit.Unit{Writes: []unit.Write{api.Update{API: a}}, Event: e}
	}
	return p, nil
}
