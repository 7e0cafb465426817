package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"ellis.example/deploy/internal/launch"
)

// API is the id of the case API at the identity provider, in every registry.
const API = "cases"

// Ask runs a command of a binary over the data of c. into takes the JSON that it prints; nil: that does not matter.
func Ask(ctx context.Context, c launch.Config, into any, binary string, args ...string) error {
	out, err := c.Command(ctx, binary, args...)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%v printed no JSON that is understood: %w\n%s", args, err, out)
	}
	return nil
}

// Register fills a template with data, registers what it says, and returns the secrets that were made for clients, by
// client_id.
func Register(ctx context.Context, c launch.Config, registry string, data any) (map[string]string, error) {
	tpl, err := template.New("registry").Parse(registry)
	if err != nil {
		return nil, err
	}
	var doc bytes.Buffer
	if err := tpl.Execute(&doc, data); err != nil {
		return nil, err
	}
	path, err := keep(c, "registry.yaml", doc.String())
	if err != nil {
		return nil, err
	}
	var done struct {
		Clients []struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"clients"`
	}
	if err := Ask(ctx, c, &done, c.IDP, "apply", "-f", path, "--json"); err != nil {
		return nil, err
	}
	secrets := map[string]string{}
	for _, client := range done.Clients {
		if client.Secret != "" {
			secrets[client.ID] = client.Secret
		}
	}
	return secrets, nil
}

// KeepSecret writes a secret to the file from which a process of c reads it.
func KeepSecret(c launch.Config, name, secret string) error {
	return os.WriteFile(c.SecretFile(name), []byte(secret+"\n"), 0o600)
}

// keep writes a file that only its owner can read, and returns its path.
func keep(c launch.Config, name, text string) (string, error) {
	path := filepath.Join(c.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// Account is what `user create` is told of a person.
type Account struct {
	Email, Given, Family, Born, Country, Locale string

	Password string
	TOTP     string // secret in base32; empty: no second factor
}

// CreateAccount makes an account.
func CreateAccount(ctx context.Context, c launch.Config, a Account) error {
	args := []string{
		"user", "create", "--email", a.Email, "--given-name", a.Given, "--family-name", a.Family,
		"--birth-date", a.Born, "--country", a.Country, "--locale", a.Locale,
	}
	for _, s := range []struct{ flag, name, secret string }{
		{"--password-file", a.Email + ".password", a.Password}, {"--totp-secret-file", a.Email + ".totp", a.TOTP},
	} {
		if s.secret == "" {
			continue
		}
		if err := KeepSecret(c, s.name, s.secret); err != nil {
			return err
		}
		args = append(args, s.flag, c.SecretFile(s.name))
	}
	return Ask(ctx, c, nil, c.IDP, args...)
}

// Case is what `case import` says of a case.
type Case struct {
	ID        string `json:"id"`
	Receipt   string `json:"receipt"`
	ClaimCode string `json:"claim_code"`
}

// ImportCases imports JSON lines, and returns a case for each.
func ImportCases(ctx context.Context, c launch.Config, lines string) ([]Case, error) {
	path, err := keep(c, "cases.jsonl", lines)
	if err != nil {
		return nil, err
	}
	var done struct {
		Cases []Case `json:"cases"`
	}
	if err := Ask(ctx, c, &done, c.CaseService, "case", "import", path, "--json"); err != nil {
		return nil, err
	}
	if want := strings.Count(lines, "\n"); len(done.Cases) != want {
		return nil, fmt.Errorf("%d of %d cases were imported", len(done.Cases), want)
	}
	return done.Cases, nil
}

// AssignCases gives cases to a person, by the subject under which the case API knows them.
func AssignCases(ctx context.Context, c launch.Config, email string, receipts ...string) error {
	var shown struct {
		Subject string `json:"subject"`
	}
	if err := Ask(ctx, c, &shown, c.IDP, "user", "show", email, "--api", API, "--json"); err != nil {
		return err
	}
	for _, r := range receipts {
		if err := Ask(ctx, c, nil, c.CaseService, "case", "assign", r, "--sub", shown.Subject); err != nil {
			return err
		}
	}
	return nil
}
