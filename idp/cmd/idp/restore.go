package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/clock"
	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/witness"
)

const restoreLong = `restore FILE verifies a backup and makes it the database. It never overwrites one. Where an older release
made the backup, "idp migrate up" is run on the database before it is accepted.

restore --accept makes a restored database the one that counts: after restore FILE, and after a
PostgreSQL server was restored, also to a point in time. Everything that was issued until now is void:
sessions, codes, refresh tokens, access tokens, links. Signing keys are replaced. What the exported audit
(--audit) says of the time that was lost is applied again: withdrawn consents are withdrawn, disabled
accounts disabled, scopes that an API lost are taken away, clients that were changed are disabled until they are
registered again, and accounts whose password or authenticator app changed are locked.

A checkpoint file that is not there or holds none is a mistake, unless --checkpoints-lost says that it is
gone; then, as without an export that reaches the last signed checkpoint, nobody knows what was lost: say with
--unknown whether to lock every account and take every client's secret away (lock), or to leave them as
they were when the copy was made (keep). Unused recovery codes end either way.

The same is asked where the witnesses end more than five minutes before the database was lost, because they may
have stopped: say with --lost-at when it was in use last, where that is not now. And it is asked where another
restore is among what was lost, unless the export goes on from the one that it read.

Where the database was accepted and that could not be signed, the same call only signs it. Where nothing shows that
the database was restored, because it is no copy and lacks nothing that was signed or exported, it is refused,
unless --accept-in-use says that it is meant.`

func newRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore [FILE]", Short: "Put a backup in place of nothing, or accept a database that was restored", Args: cobra.MaximumNArgs(1),
		Long: restoreLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			accept, err := cmd.Flags().GetBool("accept")
			switch {
			case err != nil:
				return err
			case accept == (len(args) == 1):
				return errUsage{errors.New("name a backup to restore, or accept a restored database with --accept")}
			case accept:
				return withStore(cmd, func(ctx context.Context, st *sqlstore.Store) error { return accepted(ctx, cmd, st) })
			}
			return restoreFile(cmd, args[0])
		},
	}
	f := cmd.Flags()
	databaseFlags(f)
	keyFlags(f)
	issuerFlag(f)
	f.StringSlice("checkpoint-file", nil, "file of signed audit checkpoints; with several replicas, the file of each")
	f.Bool("checkpoints-lost", false, "go on where a file of --checkpoint-file is not there or holds none, and begin it anew")
	f.Bool("accept", false, "make a restored database the one that counts")
	f.Bool("accept-in-use", false, "accept also where nothing shows that the database was restored")
	f.String("audit", "", "file that `idp audit export` wrote")
	f.String("lost-at", "", "when the database was in use last, as 2026-11-28T05:59:00Z (default: now)")
	f.String("unknown", "", "what becomes of accounts of which nobody can know: lock or keep")
	return cmd
}

// restoreFile makes a verified backup the database.
func restoreFile(cmd *cobra.Command, file string) error {
	dsn, err := need(cmd, "database", "sqlite:/var/lib/idp/idp.db")
	if err != nil {
		return err
	}
	path, lite := strings.CutPrefix(dsn, "sqlite:")
	if !lite {
		return errUsage{errors.New("--database: a backup file becomes a SQLite database; PostgreSQL is restored by its own means (docs/operations/backup.md), then accepted with --accept")}
	}
	b, err := checkCopy(cmd.Context(), file)
	if err != nil {
		return fmt.Errorf("%s: %s", file, explain(err))
	}
	if err := sqldb.PlaceCopy(path, file, b.SHA256); err != nil {
		return err
	}
	b.File = path
	next := "It is not served before `idp restore --accept`."
	if b.Older {
		next += " Its schema is older than this program's: run `idp migrate up` on it before that."
	}
	return say(cmd, b, path+": "+b.Holdings.String(), next)
}

// accepted accepts a restored database and prints what that came to.
func accepted(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) error {
	issuer, err := readIssuer(cmd)
	if err != nil {
		return err
	}
	ring, err := newRing(cmd, st)
	if err != nil {
		return err
	}
	w, err := openWitnesses(cmd, ring, issuer)
	if err != nil {
		return err
	}
	l, err := readLost(ctx, cmd, st, w)
	if err != nil {
		return err
	}
	sign := func(e epochs.Epoch) error {
		heads, err := st.Heads(ctx)
		if err != nil {
			return err
		}
		return w.Sign(witness.Checkpoint{Origin: issuer.String(), At: e.At, Heads: heads, Epoch: e.N})
	}
	if done, err := l.OnlySign(ctx, st, w); err != nil {
		return err
	} else if done {
		e := l.epoch
		if err := sign(e); err != nil {
			return fmt.Errorf("the database is accepted, but that can still not be signed: run this again (%w)", err)
		}
		return say(cmd, map[string]any{"epoch": e.N, "signed": true}, fmt.Sprintf("epoch %d was accepted at %s: only the signatures were missing", e.N, e.At.Format(time.RFC3339)))
	}
	q, err := l.request(ctx, cmd, st, w)
	if err != nil {
		return err
	}
	e, err := epochs.Accept(ctx, epochs.Deps{Store: st, Commit: st, Keys: ring, Clock: clock.System{}}, q)
	if err != nil {
		return err
	}
	if err := sign(e); err != nil {
		return fmt.Errorf("the database is accepted, but that could not be signed: run this again (%w)", err)
	}
	return sayAccepted(cmd, e, q, max(w.Behind(l.Database), q.Replay.Events))
}

// sayAccepted prints what was lost and what became of it.
func sayAccepted(cmd *cobra.Command, e epochs.Epoch, q epochs.Request, lost int64) error {
	out := struct {
		Epoch int64 `json:"epoch"`
		Lost  int64 `json:"lost_at_least"`
		epochs.Replay
		Unknown string `json:"unknown,omitempty"`
		Until   string `json:"known_until,omitempty"`
	}{e.N, lost, q.Replay, str(cmd, "unknown"), ""}
	known := "nothing is known of the time that was lost"
	if !q.Told.IsZero() {
		out.Until = q.Told.UTC().Format(time.RFC3339)
		known = "what happened until " + out.Until + " is known"
	}
	return say(cmd, out, fmt.Sprintf("epoch %d: at least %d events were lost; %s", out.Epoch, out.Lost, known),
		fmt.Sprintf("locked %d accounts, disabled %d, ended recovery codes of %d, withdrew %d consents", len(out.Locked), len(out.Disabled), len(out.Recovery), len(out.Consents)),
		"clients without secret: "+strings.Join(out.Secrets, " "), "clients disabled: "+strings.Join(out.Clients, " "), "APIs that lost something: "+strings.Join(out.APIs, " "), "not there any more: "+strings.Join(out.Gone, " "))
}

// openWitnesses reads the files outside the database that say what it held. One that is not there is a mistake, unless it is
// said to be lost.
func openWitnesses(cmd *cobra.Command, ring *keyring.Ring, issuer *url.URL) (w witness.Files, err error) {
	files, err := cmd.Flags().GetStringSlice("checkpoint-file")
	if err != nil {
		return w, err
	}
	gone, err := cmd.Flags().GetBool("checkpoints-lost")
	if err != nil {
		return w, err
	}
	seed, err := ring.Secret("checkpoint")
	if err != nil {
		return w, err
	}
	key, err := witness.NewKey(issuer.Hostname(), seed)
	if err != nil {
		return w, err
	}
	if w, err = witness.OpenFiles(files, key); err != nil {
		return w, err
	}
	if len(w.Lost) > 0 && !gone {
		return w, errUsage{fmt.Errorf("--checkpoint-file: %s: no checkpoint is there; where they are lost, say so with --checkpoints-lost", strings.Join(w.Lost, ", "))}
	}
	return w, nil
}
