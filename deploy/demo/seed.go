package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"text/template"
	"time"

	"ellis.example/deploy/internal/launch"
)

const (
	apiID    = "cases"
	portalID = "portal"
	machine  = "demo-machine"
)

//go:embed clients.yaml.tmpl
var clientsTemplate string

// profile is what `user create` is told of a person beside the secrets.
type profile struct{ given, family, email, born, country, locale string }

// profiles are the people of the demo; they do not exist.
func profiles() []profile {
	return []profile{
		ana: {"Ana", "Morales", "ana.morales@example.com", "1988-04-17", "MX", "es"},
		sam: {"Sam", "Okafor", "sam.okafor@example.com", "1979-11-02", "NG", "en"},
	}
}

// seed brings both services to what the demo promises, by their own commands. Clients are registered at every start,
// because ports may differ; people and cases once.
func (d *demo) seed(ctx context.Context, data *data) error {
	if err := d.cfg.Prepare(); err != nil {
		return err
	}
	fresh := data.state.Seeded.IsZero()
	if fresh {
		d.say("making people, clients and cases")
	}
	var wg sync.WaitGroup
	var errs [2]error
	var imported []importedCase
	wg.Go(func() { errs[0] = d.seedIDP(ctx, data, fresh) })
	wg.Go(func() {
		if fresh {
			imported, errs[1] = d.seedCases(ctx, data)
		}
	})
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if fresh {
		if err := d.assign(ctx, data, imported); err != nil {
			return err
		}
		data.state.Seeded = time.Now().UTC() //nolint:forbidigo // it is told to people alone
	}
	return errors.Join(d.writeEnv(data), data.save())
}

func (d *demo) seedIDP(ctx context.Context, data *data, fresh bool) error {
	if _, err := d.cfg.Command(ctx, d.cfg.IDP, "migrate", "up"); err != nil {
		return err
	}
	if err := d.apply(ctx, data); err != nil || !fresh {
		return err
	}
	for _, p := range profiles() {
		made, err := d.createPerson(ctx, p)
		if err != nil {
			return err
		}
		data.state.People = append(data.state.People, made)
	}
	return nil
}

// apply registers the API and the clients, and keeps the secrets that are made for them.
func (d *demo) apply(ctx context.Context, data *data) error {
	tpl, err := template.New("clients.yaml").Parse(clientsTemplate)
	if err != nil {
		return err
	}
	var doc bytes.Buffer
	if err := tpl.Execute(&doc, map[string]any{"CaseAPI": d.cfg.CaseAPI(), "Portal": d.cfg.Portal(), "Secrets": data.state.Secrets}); err != nil {
		return err
	}
	if err := data.write("clients.yaml", doc.String()); err != nil {
		return err
	}
	var done struct {
		Clients []struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"clients"`
	}
	if err := d.ask(ctx, &done, d.cfg.IDP, "apply", "-f", data.path("clients.yaml"), "--json"); err != nil {
		return err
	}
	for _, c := range done.Clients {
		if c.Secret != "" {
			data.state.Secrets[c.ID] = c.Secret
		}
	}
	for _, id := range []string{portalID, launch.CaseAPIClient} {
		if err := os.WriteFile(d.cfg.SecretFile(id), []byte(data.state.Secrets[id]+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) createPerson(ctx context.Context, p profile) (person, error) {
	made := person{Email: p.email, Password: newPassword(), TOTPSecret: newTOTPSecret(), Receipts: []string{}}
	password, totp := d.cfg.SecretFile(p.email+".password"), d.cfg.SecretFile(p.email+".totp")
	for path, text := range map[string]string{password: made.Password, totp: made.TOTPSecret} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			return made, err
		}
	}
	_, err := d.cfg.Command(ctx, d.cfg.IDP, "user", "create", "--email", p.email, "--given-name", p.given, "--family-name", p.family,
		"--birth-date", p.born, "--country", p.country, "--locale", p.locale, "--password-file", password, "--totp-secret-file", totp)
	return made, err
}

// importedCase is what `case import` says of a case.
type importedCase struct {
	Receipt   string `json:"receipt"`
	ClaimCode string `json:"claim_code"`
	owner     int
}

func (d *demo) seedCases(ctx context.Context, data *data) ([]importedCase, error) {
	if _, err := d.cfg.Command(ctx, d.cfg.CaseService, "migrate", "up"); err != nil {
		return nil, err
	}
	wanted := calendar{time.Now()}.cases() //nolint:forbidigo // the appointments lie ahead of whoever looks
	text, err := lines(wanted)
	if err != nil {
		return nil, err
	}
	if err := data.write("cases.jsonl", text); err != nil {
		return nil, err
	}
	var done struct {
		Cases []importedCase `json:"cases"`
	}
	if err := d.ask(ctx, &done, d.cfg.CaseService, "case", "import", data.path("cases.jsonl"), "--json"); err != nil {
		return nil, err
	}
	if len(done.Cases) != len(wanted) {
		return nil, fmt.Errorf("%d of %d cases were imported", len(done.Cases), len(wanted))
	}
	for i := range done.Cases {
		done.Cases[i].owner = wanted[i].owner
	}
	return done.Cases, nil
}

// assign gives cases to their people, by the subject under which the case service knows them.
func (d *demo) assign(ctx context.Context, data *data, imported []importedCase) error {
	subjects := make([]string, len(data.state.People))
	for i, p := range data.state.People {
		var shown struct {
			Subject string `json:"subject"`
		}
		if err := d.ask(ctx, &shown, d.cfg.IDP, "user", "show", p.Email, "--api", apiID, "--json"); err != nil {
			return err
		}
		subjects[i] = shown.Subject
	}
	for _, c := range imported {
		if c.owner == nobody {
			data.state.Unclaimed = append(data.state.Unclaimed, unclaimed{c.Receipt, c.ClaimCode})
			continue
		}
		if _, err := d.cfg.Command(ctx, d.cfg.CaseService, "case", "assign", c.Receipt, "--sub", subjects[c.owner]); err != nil {
			return err
		}
		p := &data.state.People[c.owner]
		p.Receipts = append(p.Receipts, c.Receipt)
	}
	return nil
}

// ask runs a command that prints JSON.
func (d *demo) ask(ctx context.Context, into any, binary string, args ...string) error {
	out, err := d.cfg.Command(ctx, binary, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%v printed no JSON that is understood: %w\n%s", args, err, out)
	}
	return nil
}
