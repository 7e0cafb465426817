package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/admin"
	"ellis.example/idp/internal/api"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/factor"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/throttle"
)

func newUser() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Open, show, disable and unlock people's accounts"}
	databaseFlags(cmd.PersistentFlags())
	keyFlags(cmd.PersistentFlags())
	cmd.AddCommand(newUserCreate(), newUserShow(), newUserStatus("disable", "End everything of an account: sessions, grants, tokens", (*admin.People).Disable),
		newUserEnable(), newUserUnlock())
	return cmd
}

func people(st *sqlstore.Store) *admin.People {
	return admin.NewPeople(admin.PeopleDeps{Store: st, Factors: st, Commit: st, Clock: clock.System{}})
}

func newUserCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Open an account for a person whose address was proven by other means", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := readPerson(cmd)
			if err != nil {
				return err
			}
			pepper, err := config.Key(cmd.Flags(), envPrefix, "pepper")
			if err != nil {
				return err
			}
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				s, err := newSealer(ctx, cmd, st)
				if err != nil {
					return err
				}
				id, err := people(st).Create(ctx, n, factor.NewPasswords(pepper, factor.DefaultParams), s, operator())
				if err != nil {
					return err
				}
				return say(cmd, map[string]string{"id": id, "email": n.Email}, id)
			})
		},
	}
	f := cmd.Flags()
	pepperFlag(f)
	f.String("email", "", "e-mail address")
	f.String("username", "", "user name; may be left out")
	f.String("given-name", "", "given name")
	f.String("family-name", "", "family name")
	f.String("birth-date", "", "date of birth, YYYY-MM-DD")
	f.String("country", "", "country of birth, two letters (ISO 3166-1)")
	f.String("locale", "en", "preferred language: en or es")
	f.String("password-file", "", "file with the password; - is standard input")
	f.String("totp-secret-file", "", "file with the seed of an authenticator app in base32; no code of it is used up")
	return cmd
}

// readPerson reads the flags of `user create`. A line end after a secret is none of it.
func readPerson(cmd *cobra.Command) (n admin.NewPerson, err error) {
	n.Draft = account.Draft{
		Email: str(cmd, "email"), Username: str(cmd, "username"), GivenName: str(cmd, "given-name"), FamilyName: str(cmd, "family-name"),
		BirthDate: str(cmd, "birth-date"), Country: strings.ToUpper(str(cmd, "country")), Locale: str(cmd, "locale"),
	}
	if n.Password, err = readInput(cmd, "password-file"); err != nil {
		return n, err
	}
	if n.Password == "" {
		return n, errUsage{errors.New("--password-file: name a file with the password, or - for standard input")}
	}
	n.TOTPSecret, err = readInput(cmd, "totp-secret-file")
	return n, err
}

// maxInput bounds what a file or standard input may hold, in bytes.
const maxInput = 2 << 20

// readInput reads the file that a flag names, without the line end at its end.
func readInput(cmd *cobra.Command, flag string) (string, error) {
	name := str(cmd, flag)
	if name == "" {
		return "", nil
	}
	text, err := readFile(cmd, name)
	if err != nil {
		return "", errUsage{fmt.Errorf("--%s: %w", flag, err)}
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("more than %d bytes", maxInput)
	}
	return text, err
}

// person is what `user show` prints.
type person struct {
	ID           string         `json:"id"`
	Status       account.Status `json:"status"`
	Email        string         `json:"email"`
	Username     string         `json:"username,omitempty"`
	Name         string         `json:"name"`
	Locale       string         `json:"locale"`
	CreatedAt    time.Time      `json:"created_at"`
	TOTPs        int            `json:"authenticator_apps"`
	RecoveryLeft int            `json:"recovery_codes_left"`
	Subject      string         `json:"subject,omitempty"` // as the API or client of the call knows the person
}

func newUserShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID|EMAIL|USERNAME", Short: "Show an account; with --api or --client the subject by which that knows the person", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				p, err := people(st).Find(ctx, args[0])
				if err != nil {
					return err
				}
				v := person{
					ID: p.ID, Status: p.Status, Email: p.Email, Username: p.Username, Name: p.DisplayName(), Locale: p.Locale,
					CreatedAt: p.CreatedAt, TOTPs: p.TOTPs, RecoveryLeft: p.RecoveryLeft,
				}
				if v.Subject, err = subject(ctx, cmd, st, p.ID); err != nil {
					return err
				}
				lines := []string{
					"id             " + v.ID, "status         " + string(v.Status), "email          " + v.Email, "username       " + v.Username, "name           " + v.Name,
					"locale         " + v.Locale, "created        " + v.CreatedAt.Format(time.RFC3339),
					fmt.Sprintf("factors        %d authenticator app(s), %d recovery code(s)", v.TOTPs, v.RecoveryLeft),
				}
				if v.Subject != "" {
					lines = append(lines, "subject        "+v.Subject)
				}
				return say(cmd, v, lines...)
			})
		},
	}
	cmd.Flags().String("api", "", "id of an API")
	cmd.Flags().String("client", "", "client_id")
	return cmd
}

// subject derives the subject identifier for the API or client that the call names; none if it names none.
func subject(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, id string) (string, error) {
	apiID, clientID := str(cmd, "api"), str(cmd, "client")
	if apiID == "" && clientID == "" {
		return "", nil
	}
	ring, err := newRing(cmd, st)
	if err != nil {
		return "", err
	}
	if err := ring.Ensure(ctx); err != nil {
		return "", err
	}
	if apiID != "" {
		return apiSubject(ctx, st, ring, apiID, id)
	}
	c, err := st.Client(ctx, clientID)
	if err != nil {
		return "", err
	}
	return c.Subject(ring, id), nil
}

func apiSubject(ctx context.Context, st *sqlstore.Store, ring *keyring.Ring, apiID, id string) (string, error) {
	apis, err := st.APIs(ctx)
	if err != nil {
		return "", err
	}
	for _, a := range apis {
		if a.ID == apiID {
			return ring.Pairwise("api", apiID, id), nil
		}
	}
	return "", api.ErrNotFound
}

// newUserStatus makes a command that changes what an account may do. A reason is asked for, because the audit keeps it.
func newUserStatus(name, short string, do func(p *admin.People, ctx context.Context, who, reason, by string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " ID|EMAIL|USERNAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reason, err := readReason(cmd)
			if err != nil {
				return err
			}
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				if err := do(people(st), ctx, args[0], reason, operator()); err != nil {
					return err
				}
				p, err := people(st).Find(ctx, args[0])
				if err != nil {
					return err
				}
				lines := []string{name + "d"}
				if p.Status == account.Locked {
					lines = append(lines, "a restore has locked it, too: it opens with --as-restored alone")
				}
				return say(cmd, map[string]string{"status": name + "d", "account": string(p.Status)}, lines...)
			})
		},
	}
	reasonFlag(cmd)
	return cmd
}

func newUserEnable() *cobra.Command {
	var restored bool
	cmd := newUserStatus("enable", "Let a disabled account sign in again", func(p *admin.People, ctx context.Context, who, reason, by string) error {
		if restored {
			return p.EnableRestored(ctx, who, reason, by)
		}
		return p.Enable(ctx, who, reason, by)
	})
	cmd.Flags().BoolVar(&restored, "as-restored", false, "open an account that a restore locked, with the password and the authenticator app of the backup")
	return cmd
}

func reasonFlag(cmd *cobra.Command) {
	cmd.Flags().String("reason", "", "why; it stands in the audit")
}

func readReason(cmd *cobra.Command) (string, error) {
	r := strings.TrimSpace(str(cmd, "reason"))
	if r == "" || len(r) > 200 {
		return "", errUsage{errors.New("--reason: say why, in at most 200 bytes; it stands in the audit")}
	}
	return r, nil
}

func newUserUnlock() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unlock ID|EMAIL|USERNAME", Short: "Forget the failed attempts that are counted for an account", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reason, err := readReason(cmd)
			if err != nil {
				return err
			}
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				ring, err := newRing(cmd, st)
				if err != nil {
					return err
				}
				key, err := ring.Secret("throttle")
				if err != nil {
					return err
				}
				if err := people(st).Unlock(ctx, args[0], throttle.New(st, clock.System{}, key), reason, operator()); err != nil {
					return err
				}
				return say(cmd, map[string]string{"status": "unlocked"}, "unlocked")
			})
		},
	}
	reasonFlag(cmd)
	return cmd
}
