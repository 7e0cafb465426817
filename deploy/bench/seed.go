package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"ellis.example/deploy/internal/agent"
	"ellis.example/deploy/internal/launch"
)

const (
	app      = "bench-app"
	machine  = "bench-machine"
	redirect = "http://localhost:9/callback" // nobody is there: an authorization ends at the redirect
	scopes   = "openid offline_access cases:read"
	people   = 16
)

//go:embed registry.yaml.tmpl
var registryTemplate string

// seed is what was put into the databases of a stack.
type seed struct {
	secrets map[string]string // of clients, by client_id
	people  []person          // made when the first operation needs them
}

// person is somebody who signed in once and allowed the app what it asks for.
type person struct {
	email, password string
	device          jar    // a browser that is known
	signedIn        jar    // the same browser, signed in
	refresh         string // a refresh token of the app
	access          string // an access token for the case API
	caseID          string
}

// command runs a command of the provider over the stack's database.
func (s *stack) command(ctx context.Context, into any, args ...string) error {
	return s.runCommand(ctx, into, s.cfg.IDP, s.database(launch.IDP), args...)
}

func (s *stack) runCommand(ctx context.Context, into any, binary, database string, args ...string) error {
	out, err := s.cfg.Command(ctx, binary, append(args, "--database", database)...)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// seedRegistry makes the schema, the API and the clients.
func (s *stack) seedRegistry(ctx context.Context) error {
	if err := s.command(ctx, nil, "migrate", "up"); err != nil {
		return err
	}
	tpl, err := template.New("registry").Parse(registryTemplate)
	if err != nil {
		return err
	}
	var doc bytes.Buffer
	if err := tpl.Execute(&doc, map[string]string{"CaseAPI": s.cfg.CaseAPI(), "Redirect": redirect}); err != nil {
		return err
	}
	path := filepath.Join(s.cfg.Dir, "registry.yaml")
	if err := os.WriteFile(path, doc.Bytes(), 0o600); err != nil {
		return err
	}
	var done struct {
		Clients []struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"clients"`
	}
	if err := s.command(ctx, &done, "apply", "-f", path, "--json"); err != nil {
		return err
	}
	s.seed.secrets = map[string]string{}
	for _, c := range done.Clients {
		s.seed.secrets[c.ID] = c.Secret
	}
	return os.WriteFile(s.cfg.SecretFile(launch.CaseAPIClient), []byte(s.seed.secrets[launch.CaseAPIClient]+"\n"), 0o600)
}

// basic is the Authorization header of a client.
func (s *stack) basic(client string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+s.seed.secrets[client]))
}

// needPeople makes the people once: an account by command, then a sign-in with consent at the front door.
func needPeople(ctx context.Context, s *stack) error {
	if s.seed.people != nil {
		return nil
	}
	for i := range people {
		p := person{email: fmt.Sprintf("bench-%02d@example.com", i), password: "quiet-" + strings.ToLower(rand.Text()[:12]) + "-harbor"}
		secret := s.cfg.SecretFile(p.email)
		if err := os.WriteFile(secret, []byte(p.password+"\n"), 0o600); err != nil {
			return err
		}
		if err := s.command(ctx, nil, "user", "create", "--email", p.email, "--given-name", "Bench", "--family-name", "Person",
			"--birth-date", "1990-01-02", "--country", "MX", "--locale", "en", "--password-file", secret); err != nil {
			return err
		}
		if err := s.signIn(ctx, &p); err != nil {
			return fmt.Errorf("%s signs in: %w", p.email, err)
		}
		s.seed.people = append(s.seed.people, p)
	}
	return nil
}

// signIn takes a person through password and consent to tokens, as a browser would.
func (s *stack) signIn(ctx context.Context, p *person) error {
	a := agent.New()
	a.StopAt = func(u *url.URL) bool { return strings.HasPrefix(u.String(), redirect) }
	try := newAttempt()
	if err := a.Get(ctx, s.cfg.Issuer()+try.target()); err != nil {
		return err
	}
	if err := a.Submit(ctx, "", map[string]string{"identifier": p.email, "password": p.password}); err != nil {
		return err
	}
	if a.Page.Location == "" {
		if err := a.Submit(ctx, "allow", nil); err != nil {
			return err
		}
	}
	code, err := try.code(a.Page.Location)
	if err != nil {
		return fmt.Errorf("%w: %s", err, a.Page.Text)
	}
	issuer, err := url.Parse(s.cfg.Issuer())
	if err != nil {
		return err
	}
	p.signedIn, p.device = jar{}, jar{}
	for _, c := range a.Cookies(issuer) {
		p.signedIn[c.Name] = c.Value
		if strings.Contains(c.Name, "device") {
			p.device[c.Name] = c.Value
		}
	}
	c := s.dialIDP()
	defer c.close()
	t, err := s.redeem(c, try, code)
	p.refresh, p.access = t.Refresh, t.Access
	return err
}

// importLine is a case in the form that `case import` reads.
const importLine = `{"form":"I-765","submitted":"2026-01-05","events":[{"code":"received","at":"2026-01-09T09:00:00Z"},{"code":"biometrics_scheduled","at":"2026-02-01T09:00:00Z"}],"appointments":[{"kind":"biometrics","at":"2030-03-04T10:00:00-05:00","place":"Riverton Application Support Center","address":"210 Harbor Street, Riverton"}],"claimable":false}` + "\n"

// needCases gives each person a case. The case API has to be running.
func needCases(ctx context.Context, s *stack) error {
	if err := needPeople(ctx, s); err != nil || s.seed.people[0].caseID != "" {
		return err
	}
	path := filepath.Join(s.cfg.Dir, "cases.jsonl")
	if err := os.WriteFile(path, []byte(strings.Repeat(importLine, people)), 0o600); err != nil {
		return err
	}
	var done struct {
		Cases []struct {
			Receipt string `json:"receipt"`
		} `json:"cases"`
	}
	db := s.database(launch.CaseService)
	if err := s.runCommand(ctx, &done, s.cfg.CaseService, db, "case", "import", path, "--json"); err != nil {
		return err
	}
	if len(done.Cases) != people {
		return fmt.Errorf("%d of %d cases were imported", len(done.Cases), people)
	}
	for i := range s.seed.people {
		p := &s.seed.people[i]
		var shown struct {
			Subject string `json:"subject"`
		}
		if err := s.command(ctx, &shown, "user", "show", p.email, "--api", "cases", "--json"); err != nil {
			return err
		}
		if err := s.runCommand(ctx, nil, s.cfg.CaseService, db, "case", "assign", done.Cases[i].Receipt, "--sub", shown.Subject); err != nil {
			return err
		}
		if err := s.findCase(p); err != nil {
			return err
		}
	}
	return nil
}

// findCase asks the case API for the one case of a person.
func (s *stack) findCase(p *person) error {
	c := s.dialCases()
	defer c.close()
	a, err := c.expect(200, c.request("GET", "/v1/cases", nil, "Authorization", "Bearer "+p.access))
	if err != nil {
		return err
	}
	var list struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Items) != 1 {
		return errors.Join(err, fmt.Errorf("a person has %d cases", len(list.Items)))
	}
	p.caseID = list.Items[0].ID
	return nil
}
