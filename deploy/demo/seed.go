package main

import (
	"context"
	_ "embed"
	"errors"
	"maps"
	"sync"
	"time"

	"ellis.example/deploy/internal/launch"
	"ellis.example/deploy/internal/seed"
)

const (
	portalID = "portal"
	machine  = "demo-machine"
)

//go:embed clients.yaml.tmpl
var clientsTemplate string

// profiles are the people of the demo, without secrets; they do not exist.
func profiles() []seed.Account {
	return []seed.Account{
		ana: {Given: "Ana", Family: "Morales", Email: "ana.morales@example.com", Born: "1988-04-17", Country: "MX", Locale: "es"},
		sam: {Given: "Sam", Family: "Okafor", Email: "sam.okafor@example.com", Born: "1979-11-02", Country: "NG", Locale: "en"},
	}
}

// seed brings both services to what the demo promises, by their own commands. Clients are registered at every start,
// because ports may differ; people and cases once.
func (d *demo) seed(ctx context.Context, data *data) error {
	if err := d.cfg.Prepare(); err != nil {
		return err
	}
	fresh := data.state.Seeded.IsZero()
	d.resumed = !fresh
	if fresh {
		d.say("making people, clients and cases")
	}
	wanted := calendar{time.Now()}.cases() //nolint:forbidigo // the appointments lie ahead of whoever looks
	var wg sync.WaitGroup
	var errs [2]error
	var imported []seed.Case
	wg.Go(func() { errs[0] = d.seedIDP(ctx, data, fresh) })
	wg.Go(func() {
		if fresh {
			imported, errs[1] = d.seedCases(ctx, wanted)
		}
	})
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if fresh {
		if err := d.assign(ctx, data, wanted, imported); err != nil {
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
		p.Password, p.TOTP = newPassword(), newTOTPSecret()
		if err := seed.CreateAccount(ctx, d.cfg, p); err != nil {
			return err
		}
		data.state.People = append(data.state.People, person{Email: p.Email, Password: p.Password, TOTPSecret: p.TOTP, Receipts: []string{}})
	}
	return nil
}

// apply registers the API and the clients, and keeps the secrets that are made for them.
func (d *demo) apply(ctx context.Context, data *data) error {
	made, err := seed.Register(ctx, d.cfg, clientsTemplate, map[string]any{"CaseAPI": d.cfg.CaseAPI(), "Portal": d.cfg.Portal(), "Secrets": data.state.Secrets})
	if err != nil {
		return err
	}
	maps.Copy(data.state.Secrets, made)
	for _, id := range []string{portalID, launch.CaseAPIClient} {
		if err := seed.KeepSecret(d.cfg, id, data.state.Secrets[id]); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) seedCases(ctx context.Context, wanted []importCase) ([]seed.Case, error) {
	if _, err := d.cfg.Command(ctx, d.cfg.CaseService, "migrate", "up"); err != nil {
		return nil, err
	}
	text, err := lines(wanted)
	if err != nil {
		return nil, err
	}
	return seed.ImportCases(ctx, d.cfg, text)
}

// assign gives cases to their people, and notes what is left for whoever has its code.
func (d *demo) assign(ctx context.Context, data *data, wanted []importCase, imported []seed.Case) error {
	for i, c := range imported {
		if wanted[i].owner == nobody {
			data.state.Unclaimed = append(data.state.Unclaimed, unclaimed{c.Receipt, c.ClaimCode})
			continue
		}
		p := &data.state.People[wanted[i].owner]
		p.Receipts = append(p.Receipts, c.Receipt)
	}
	for _, p := range data.state.People {
		if err := seed.AssignCases(ctx, d.cfg, p.Email, p.Receipts...); err != nil {
			return err
		}
	}
	return nil
}
