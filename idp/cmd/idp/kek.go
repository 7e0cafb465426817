package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/background"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/fault"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/unit"
)

const kekFlag = "--kek-file"

// readKEKs reads the key-encryption keys, one a line: the first one seals, the others open what is not rewrapped yet. A
// name and a colon before a key are for people; a line that begins with # is a comment. Errors: *config.Error.
func readKEKs(cmd *cobra.Command) (out [][]byte, err error) {
	text, err := config.Secret(cmd.Flags(), envPrefix, "kek")
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, key, named := strings.Cut(line, ":"); named {
			line = strings.TrimSpace(key)
		}
		k, ok := config.ParseKey(line)
		if !ok {
			return nil, &config.Error{Where: kekFlag, Problem: fmt.Sprintf("line %d: write %d random bytes in base64 or hexadecimal: `openssl rand -base64 %d` makes them", n, seal.KeySize, seal.KeySize)}
		}
		if slices.ContainsFunc(out, func(other []byte) bool { return string(other) == string(k) }) {
			return nil, &config.Error{Where: kekFlag, Problem: fmt.Sprintf("line %d: this key is there twice", n)}
		}
		out = append(out, k)
	}
	if len(out) == 0 {
		return nil, &config.Error{Where: kekFlag, Problem: "it holds no key"}
	}
	return out, nil
}

// newSealer reads the key-encryption keys of a command. It refuses to seal beside what they do not open: a mistyped file
// would otherwise leave secrets that nobody can read with the right one.
func newSealer(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) (*seal.Sealer, error) {
	keys, err := readKEKs(cmd)
	if err != nil {
		return nil, err
	}
	return sealerFor(ctx, keys, st)
}

func sealerFor(ctx context.Context, keys [][]byte, st *sqlstore.Store) (*seal.Sealer, error) {
	s, err := seal.New(keys...)
	if err != nil {
		return nil, err
	}
	if err := keyring.CheckSealed(ctx, s, st); err != nil {
		return nil, wrongKey(err)
	}
	return s, wrongKey(keyring.Follow(ctx, s, st))
}

// kekWatch lets a replica seal under the key that is active, and says to whoever replaces keys which ones it has.
type kekWatch struct {
	store  *sqlstore.Store
	sealer *seal.Sealer
	clk    clock.Clock
	id     string
	behind atomic.Bool // the active key is none of ours
}

func newKEKWatch(st *sqlstore.Store, s *seal.Sealer, clk clock.Clock) *kekWatch {
	return &kekWatch{store: st, sealer: s, clk: clk, id: ident.New("rep")}
}

func (k *kekWatch) jobs() []background.Job {
	return []background.Job{
		{Name: "kek", Every: keyring.FollowEvery, Do: k.follow},
		{Name: "presence", Every: keyring.PresentEvery, Do: k.present},
	}
}

func (k *kekWatch) follow(ctx context.Context) error {
	err := keyring.Follow(ctx, k.sealer, k.store)
	if missing := errors.Is(err, keyring.ErrKeyMissing); missing || err == nil {
		k.behind.Store(missing)
	}
	return err
}

func (k *kekWatch) present(ctx context.Context) error {
	return k.store.Commit(ctx, unit.Unit{Writes: []unit.Write{keyring.Present{Replica: k.id, Keys: k.sealer.Keys(), At: k.clk.Now()}}})
}

// farewell bounds how long the end of a replica waits to say so.
const farewell = 2 * time.Second

// leave says that the replica has ended. Where that fails, it is forgotten after a while.
func (k *kekWatch) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = k.store.Commit(ctx, unit.Unit{Writes: []unit.Write{keyring.Absent{Replica: k.id}}})
}

// wrongKey makes a key that is missing or wrong what it is to an operator: a mistake in the settings.
func wrongKey(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrKeyMissing):
		return &config.Error{Where: kekFlag, Problem: "the database uses a key that was not given (" + fault.Of(err).Cause.Error() + "): add it, on a line of its own"}
	case errors.Is(err, seal.ErrOpen):
		return &config.Error{Where: kekFlag, Problem: err.Error()}
	}
	return err
}

func newKeysRewrap() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rewrap", Short: "Seal everything again under the first key-encryption key",
		Long: `Seal everything again under the first key-encryption key, beside providers that serve.

Every provider needs both keys before: restart each with the new key on a line of its own, then run this with
a file that has the new key on its first line. It refuses while a running provider does not have that key. From
then on all providers seal under it, and nothing is kept that one of them sealed under another key. Afterwards
the old line can go. It can be ended and run again at any time. The exit status is 1 when anything is not under
the first key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dry, err := cmd.Flags().GetBool("dry-run")
			if err != nil {
				return err
			}
			return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error {
				s, err := newSealer(ctx, cmd, st)
				if err != nil {
					return err
				}
				w := keyring.Rewrapper{Store: st, Commit: st, Seal: s, Clock: clock.System{}, Actor: operator(), Dry: dry}
				places, err := w.Run(ctx)
				if errors.Is(err, keyring.ErrReplicaBehind) {
					return fmt.Errorf("%w: give it that key and restart it; one that has ended is forgotten after %v", fault.Of(err).Cause, keyring.PresentFor)
				}
				return errors.Join(err, sayRewrapped(cmd, s, places))
			})
		},
	}
	cmd.Flags().Bool("dry-run", false, "count only: what would be sealed again is left")
	return cmd
}

// sayRewrapped prints what became of everything, and fails when anything is not under the first key.
func sayRewrapped(cmd *cobra.Command, s *seal.Sealer, places []keyring.Rewrapped) error {
	whole := true
	lines := []string{fmt.Sprintf("first key %s", s.Keys()[0])}
	for _, p := range places {
		whole = whole && p.Left == 0 && p.Closed == 0
		lines = append(lines, fmt.Sprintf("%-12s %d values, %d sealed again, %d left, %d that no key opens", p.Place, p.Values, p.Resealed, p.Left, p.Closed))
		for _, row := range p.Rows {
			lines = append(lines, "  not opened: "+row)
		}
	}
	if whole {
		lines = append(lines, "everything is sealed under the first key")
	}
	err := say(cmd, map[string]any{"key": s.Keys()[0].String(), "places": places, "whole": whole}, lines...)
	if err == nil && !whole {
		return errSilent
	}
	return err
}
