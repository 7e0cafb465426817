package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/admin"
	"ellis.example/idp/internal/api"
)

func newAPI() *cobra.Command {
	cmd := &cobra.Command{Use: "api", Short: "Register APIs one by one, and show them; `idp apply` registers many"}
	databaseFlags(cmd.PersistentFlags())
	keyFlags(cmd.PersistentFlags())
	cmd.AddCommand(newAPICreate(), newAPIUpdate(), newAPIList())
	return cmd
}

func apiFlags(f *pflag.FlagSet) {
	f.String("audience", "", "resource indicator, the absolute URI that its tokens name")
	f.StringArray("name", nil, "name that people see, by language: en=Case status (repeatable)")
	f.StringArray("scope", nil, "scope with its words by language, parted by semicolons: cases.read;en=See your cases;es=Ver sus casos (repeatable)")
	f.String("signing-alg", "", "algorithm that its tokens are signed with: "+strings.Join(api.SigningAlgorithms, ", "))
	f.String("client", "", "client_id of its own server, which may introspect its tokens and follow its events")
}

// setAPI changes a by the flags that were given.
func setAPI(cmd *cobra.Command, a *api.API) error {
	f := cmd.Flags()
	for flag, to := range map[string]*string{"audience": &a.Audience, "signing-alg": &a.SigningAlg, "client": &a.ClientID} {
		if f.Changed(flag) {
			*to = str(cmd, flag)
		}
	}
	if f.Changed("name") {
		list, err := f.GetStringArray("name")
		if err != nil {
			return err
		}
		if a.Name, err = wordsOf("name", list); err != nil {
			return err
		}
	}
	if !f.Changed("scope") {
		return nil
	}
	list, err := f.GetStringArray("scope")
	if err != nil {
		return err
	}
	a.Scopes = nil
	for _, text := range list {
		parts := strings.Split(text, ";")
		words, err := wordsOf("scope", parts[1:])
		if err != nil {
			return err
		}
		a.Scopes = append(a.Scopes, api.Scope{Name: parts[0], Words: words})
	}
	return nil
}

// wordsOf reads texts by language.
func wordsOf(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range list {
		lang, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, errUsage{fmt.Errorf("--%s: write words by language, such as en=See your cases", flag)}
		}
		out[lang] = text
	}
	return out, nil
}

func newAPICreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Register an API", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a := api.API{ID: str(cmd, "id")}
			if a.ID == "" {
				return errUsage{errors.New("--id: name the API; it is never changed")}
			}
			if err := setAPI(cmd, &a); err != nil {
				return err
			}
			return withAdmin(cmd, func(ctx context.Context, m *admin.Admin) error {
				r, err := m.CreateAPI(ctx, a, operator())
				if err != nil {
					return err
				}
				return say(cmd, r, "created "+r.ID)
			})
		},
	}
	cmd.Flags().String("id", "", "id; the subjects of its tokens are derived from it")
	apiFlags(cmd.Flags())
	return cmd
}

func newAPIUpdate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "update ID", Short: "Change what flags name of an API; the rest stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, func(ctx context.Context, m *admin.Admin) error {
				r, err := m.UpdateAPI(ctx, args[0], func(a *api.API) error { return setAPI(cmd, a) }, operator())
				if err != nil {
					return err
				}
				return say(cmd, r, string(r.Change))
			})
		},
	}
	apiFlags(cmd.Flags())
	return cmd
}

func newAPIList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List APIs with their scopes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withReadAdmin(cmd, func(ctx context.Context, a *admin.Admin) error {
				list, err := a.ListAPIs(ctx)
				if err != nil {
					return err
				}
				var lines []string
				for _, x := range list {
					var scopes []string
					for _, s := range x.Scopes {
						scopes = append(scopes, s.Name)
					}
					lines = append(lines, fmt.Sprintf("%-16s %-6s %-40s %-16s %s", x.ID, x.SigningAlg, x.Audience, or(x.ClientID, "-"), strings.Join(scopes, " ")))
				}
				return say(cmd, map[string]any{"apis": list}, lines...)
			})
		},
	}
}

// or is text, or something else where there is none.
func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}
