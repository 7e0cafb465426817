package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/pquerna/otp/totp"
)

//go:embed summary.txt.tmpl
var summaryTemplate string

// report is what --json prints.
type report struct {
	Issuer    string           `json:"issuer"`
	CaseAPI   string           `json:"case_api"`
	Portal    string           `json:"portal"`
	Mailbox   string           `json:"mailbox"`
	Admin     string           `json:"admin"` // private listener of the identity provider
	People    []person         `json:"people"`
	Unclaimed []unclaimed      `json:"unclaimed"`
	Clients   []client         `json:"clients"`
	DataDir   string           `json:"data_dir"`
	Pids      map[string][]int `json:"pids"`
}

type client struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret"` // empty for a public client
	RedirectURIs []string `json:"redirect_uris"`
	GrantTypes   []string `json:"grant_types"`
	Auth         string   `json:"token_endpoint_auth_method"`
}

func (d *demo) report(s state) report {
	code, basic := []string{"authorization_code", "refresh_token"}, "client_secret_basic"
	return report{
		Issuer: d.cfg.Issuer(), CaseAPI: d.cfg.CaseAPI(), Portal: d.cfg.Portal(), Mailbox: fmt.Sprintf("http://localhost:%d", d.mailboxPort), Admin: d.cfg.Admin(),
		People: s.People, Unclaimed: s.Unclaimed, DataDir: d.cfg.Dir,
		Clients: []client{
			{portalID, s.Secrets[portalID], []string{d.cfg.Portal() + "/callback"}, code, basic},
			{"demo-web", s.Secrets["demo-web"], []string{"http://localhost:9000/callback"}, code, basic},
			{"demo-native", "", []string{"http://127.0.0.1/callback"}, code, "none"},
			{machine, s.Secrets[machine], []string{}, []string{"client_credentials"}, basic},
		},
		Pids: d.pids(),
	}
}

// announce says that everything answers, where, and who to be.
func (d *demo) announce(s state) error {
	r := d.report(s)
	if err := d.summary(d.stderr, r, s.Seeded); err != nil {
		return err
	}
	if !d.json {
		return nil
	}
	enc := json.NewEncoder(d.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

func (d *demo) summary(w io.Writer, r report, seeded time.Time) error {
	tpl, err := template.New("").Funcs(template.FuncMap{
		"now":  func(seed string) (string, error) { return totp.GenerateCode(seed, time.Now()) }, //nolint:forbidigo // the code that counts while it is read
		"join": strings.Join,
	}).Parse(summaryTemplate)
	if err != nil {
		return err
	}
	return tpl.Execute(w, map[string]any{
		"R": r, "Secret": r.Clients[len(r.Clients)-1].Secret, "Machine": machine, "Ephemeral": d.ephemeral, "Seeded": seeded.Local().Format("2 January 2006"),
		"Bin": d.cfg.Binaries, "Replicas": d.replicas,
	})
}

// writeEnv writes a file that a shell can read to use the commands of both services over this data.
func (d *demo) writeEnv(data *data) error {
	var b strings.Builder
	b.WriteString("# . this file in a shell: the commands of both services then work on the demo's data\n")
	for _, kv := range d.cfg.CommandEnv() {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
	}
	bin := quote(d.cfg.Binaries.Dir())
	fmt.Fprintf(&b, "PATH=%s%c$PATH\n", bin, os.PathListSeparator)
	return data.write("env", b.String())
}

// quote makes a text one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
