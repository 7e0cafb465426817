package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/admin"
	"ellis.example/idp/internal/client"
)

func newClient() *cobra.Command {
	cmd := &cobra.Command{Use: "client", Short: "Register relying parties and machines, one by one"}
	databaseFlags(cmd.PersistentFlags())
	keyFlags(cmd.PersistentFlags())
	cmd.AddCommand(newClientCreate(), newClientList(), newClientShow(), newClientUpdate(), newClientDelete(), newClientRotate())
	return cmd
}

// metadata is the flag of one member of a client's metadata.
type metadata struct {
	flag, usage string
	list        bool
	set         func(c *client.Client, v string, list []string)
}

// clientMetadata are the members that flags set; their names are those of RFC 7591 §2 with dashes.
var clientMetadata = []metadata{
	{"client-name", "name that people see when they are asked", false, func(c *client.Client, v string, _ []string) { c.Name = v }},
	{"client-uri", "home page of the app", false, func(c *client.Client, v string, _ []string) { c.URI = v }},
	{"application-type", "web or native", false, func(c *client.Client, v string, _ []string) { c.ApplicationType = v }},
	{"redirect-uris", "where answers may go; compared byte by byte", true, func(c *client.Client, _ string, l []string) { c.RedirectURIs = l }},
	{"post-logout-redirect-uris", "where a sign-out may lead", true, func(c *client.Client, _ string, l []string) { c.PostLogoutRedirectURIs = l }},
	{"grant-types", "authorization_code, refresh_token, client_credentials", true, func(c *client.Client, _ string, l []string) { c.GrantTypes = l }},
	{"response-modes", "query, form_post; empty: both", true, func(c *client.Client, _ string, l []string) { c.ResponseModes = l }},
	{"scope", "scopes that it may ask for, separated by spaces", false, func(c *client.Client, v string, _ []string) { c.Scope = v }},
	{"apis", "ids of APIs that it may get tokens for", true, func(c *client.Client, _ string, l []string) { c.APIs = l }},
	{"token-endpoint-auth-method", "client_secret_basic, client_secret_post, private_key_jwt or none", false, func(c *client.Client, v string, _ []string) { c.TokenEndpointAuth = v }},
	{"token-endpoint-auth-signing-alg", "ES256, PS256, EdDSA or RS256", false, func(c *client.Client, v string, _ []string) { c.TokenEndpointAuthAlg = v }},
	{"id-token-signed-response-alg", "RS256, ES256, PS256 or EdDSA", false, func(c *client.Client, v string, _ []string) { c.IDTokenAlg = v }},
	{"subject-type", "pairwise or public", false, func(c *client.Client, v string, _ []string) { c.SubjectType = v }},
	{"default-acr-values", "acr that is asked for when a request says nothing", true, func(c *client.Client, _ string, l []string) { c.DefaultACRValues = l }},
}

func clientFlags(f *pflag.FlagSet) {
	for _, m := range clientMetadata {
		if m.list {
			f.StringArray(m.flag, nil, m.usage+" (repeatable)")
		} else {
			f.String(m.flag, "", m.usage)
		}
	}
	f.Int("default-max-age", -1, "max_age in seconds that is asked for when a request says nothing; -1: none")
	f.String("jwks-file", "", "file with the client's public keys as a JWK Set; - is standard input")
	f.Bool("disabled", false, "it gets nothing, and all that it got is revoked")
}

// setMetadata changes c by the flags that were given.
func setMetadata(cmd *cobra.Command, c *client.Client) error {
	f := cmd.Flags()
	for _, m := range clientMetadata {
		if !f.Changed(m.flag) {
			continue
		}
		var list []string
		if m.list {
			var err error
			if list, err = f.GetStringArray(m.flag); err != nil {
				return err
			}
		}
		m.set(c, str(cmd, m.flag), list)
	}
	if f.Changed("default-max-age") {
		n, err := f.GetInt("default-max-age")
		if err != nil {
			return err
		}
		c.DefaultMaxAge = &n
		if n < 0 {
			c.DefaultMaxAge = nil
		}
	}
	if f.Changed("disabled") {
		c.Disabled, _ = f.GetBool("disabled")
	}
	if f.Changed("jwks-file") {
		text, err := readFile(cmd, str(cmd, "jwks-file"))
		if err != nil {
			return errUsage{fmt.Errorf("--jwks-file: %w", err)}
		}
		c.JWKS = bytes.TrimSpace(text)
	}
	return nil
}

func newClientCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Register a client; its secret is shown once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := client.Client{ID: str(cmd, "client-id")}
			if err := setMetadata(cmd, &c); err != nil {
				return err
			}
			return withAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				r, err := a.CreateClient(ctx, c, "", operator())
				if err != nil {
					return err
				}
				return say(cmd, r, secretLines(r.ID, r.Secret)...)
			})
		},
	}
	cmd.Flags().String("client-id", "", "client_id; made where it is left out")
	clientFlags(cmd.Flags())
	return cmd
}

func secretLines(id, secret string) []string {
	out := []string{"client_id      " + id}
	if secret != "" {
		out = append(out, "client_secret  "+secret+"   (shown once: keep it now)")
	}
	return out
}

func newClientList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List clients", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withReadAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				list, err := a.ListClients(ctx)
				if err != nil {
					return err
				}
				var lines []string
				for _, c := range list {
					state := "enabled"
					if c.Disabled {
						state = "disabled"
					}
					lines = append(lines, fmt.Sprintf("%-24s %-9s %-22s %s", c.ID, state, c.TokenEndpointAuth, c.Name))
				}
				return say(cmd, map[string]any{"clients": append([]client.Client{}, list...)}, lines...)
			})
		},
	}
}

func newClientShow() *cobra.Command {
	return &cobra.Command{
		Use: "show CLIENT_ID", Short: "Show a client's metadata as JSON", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withReadAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				c, err := a.ShowClient(ctx, args[0])
				if err != nil {
					return err
				}
				text, err := json.MarshalIndent(c, "", "  ")
				if err != nil {
					return err
				}
				return say(cmd, c, string(text))
			})
		},
	}
}

func newClientUpdate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "update CLIENT_ID", Short: "Change the metadata that flags name; the rest stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				r, err := a.UpdateClient(ctx, args[0], func(c *client.Client) error { return setMetadata(cmd, c) }, operator())
				if err != nil {
					return err
				}
				return say(cmd, r, append([]string{string(r.Change)}, secretLines(r.ID, r.Secret)...)...)
			})
		},
	}
	clientFlags(cmd.Flags())
	return cmd
}

func newClientDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete CLIENT_ID", Short: "Remove a client; everything that was granted to it is revoked", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withReadAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				if err := a.DeleteClient(ctx, args[0], operator()); err != nil {
					return err
				}
				return say(cmd, map[string]string{"client_id": args[0], "change": "deleted"}, "deleted "+args[0])
			})
		},
	}
}

func newClientRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate-secret CLIENT_ID", Short: "Make a new client secret; the old one dies at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withReadAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				secret, err := a.RotateSecret(ctx, args[0], operator())
				if err != nil {
					return err
				}
				return say(cmd, map[string]string{"client_id": args[0], "client_secret": secret}, secretLines(args[0], secret)...)
			})
		},
	}
}

func newApply() *cobra.Command {
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Make clients and APIs what a YAML document says; others stay as they are", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if str(cmd, "file") == "" {
				return errUsage{errors.New("-f: name the document, or - for standard input")}
			}
			text, err := readFile(cmd, str(cmd, "file"))
			if err != nil {
				return errUsage{err}
			}
			return withAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				r, err := a.Apply(ctx, text, operator())
				if err != nil {
					return err
				}
				var lines []string
				for _, x := range r.APIs {
					lines = append(lines, fmt.Sprintf("api     %-24s %s", x.ID, x.Change))
				}
				for _, x := range r.Clients {
					l := fmt.Sprintf("client  %-24s %s", x.ID, x.Change)
					if x.Secret != "" {
						l += "  client_secret " + x.Secret + " (shown once)"
					}
					lines = append(lines, l)
				}
				return say(cmd, r, lines...)
			})
		},
	}
	databaseFlags(cmd.Flags())
	keyFlags(cmd.Flags())
	cmd.Flags().StringP("file", "f", "", "document; - is standard input")
	return cmd
}
