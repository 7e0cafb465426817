package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/clock"
	epochs "ellis.example/idp/internal/epoch"
	"ellis.example/idp/internal/keyring"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/store/sqlstore"
	"ellis.example/idp/internal/witness"
)

func newRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore [FILE]", Short: "Put a backup in place of nothing, or accept a database that was restored", Args: cobra.MaximumNArgs(1),
		Long: `restore FILE verifies a backup and makes it the database. It never overwrites one.

restore --accept makes a restored database the one that counts: after restore FILE, and after a
PostgreSQL server was restored, also to a point in time. Everything that was issued until now is void:
sessions, codes, refresh tokens, access tokens, links. Signing keys are replaced. What the exported audit
(--audit) says of the time that was lost is applied again: withdrawn consents are withdrawn, disabled
accounts disabled, scopes that an API lost are taken away, clients that were changed are disabled until they are
registered again, and accounts whose password or authenticator app changed are locked.

A checkpoint file that is not there or holds none is a mistake, unless --checkpoints-lost says that it is
gone; then, as without an export that reaches the last signed checkpoint, nobody knows what was lost: say with
--unknown whether to lock every account and take every client's secret away (lock), or to leave them as
they were when the copy was made (keep). Unused recovery codes end either way.`,
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
	f.String("audit", "", "file that `idp audit export` wrote")
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
	return say(cmd, b, path+": "+b.Holdings.String(), "It is not served before `idp restore --accept`.")
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
	files, err := cmd.Flags().GetStringSlice("checkpoint-file")
	if err != nil {
		return err
	}
	w, err := openWitnesses(ring, issuer, files)
	if err != nil {
		return err
	}
	gone, err := cmd.Flags().GetBool("checkpoints-lost")
	if err != nil {
		return err
	}
	if len(w.Lost) > 0 && !gone {
		return errUsage{fmt.Errorf("--checkpoint-file: %s: no checkpoint is there; where they are lost, say so with --checkpoints-lost", strings.Join(w.Lost, ", "))}
	}
	q, lost, err := lostTime(ctx, cmd, st, w)
	if err != nil {
		return err
	}
	e, err := epochs.Accept(ctx, epochs.Deps{Store: st, Commit: st, Keys: ring, Clock: clock.System{}}, q)
	if err != nil {
		return err
	}
	heads, err := st.Heads(ctx)
	if err == nil {
		err = w.Sign(witness.Checkpoint{Origin: issuer.String(), At: e.At, Heads: heads, Epoch: e.N})
	}
	if err != nil {
		return fmt.Errorf("the database is accepted, but that could not be signed: run this again (%w)", err)
	}
	out := struct {
		Epoch int64 `json:"epoch"`
		Lost  int64 `json:"lost_at_least"`
		epochs.Replay
		Unknown string `json:"unknown,omitempty"`
	}{e.N, max(lost, q.Replay.Events), q.Replay, str(cmd, "unknown")}
	return say(cmd, out, fmt.Sprintf("epoch %d: at least %d events were lost", out.Epoch, out.Lost),
		fmt.Sprintf("locked %d accounts, disabled %d, ended recovery codes of %d, withdrew %d consents", len(out.Locked), len(out.Disabled), len(out.Recovery), len(out.Consents)),
		"clients without secret: "+strings.Join(out.Secrets, " "), "clients disabled: "+strings.Join(out.Clients, " "), "APIs that lost something: "+strings.Join(out.APIs, " "), "not there any more: "+strings.Join(out.Gone, " "))
}

// openWitnesses reads the files outside the database that say what it held.
func openWitnesses(ring *keyring.Ring, issuer *url.URL, files []string) (w witness.Files, err error) {
	seed, err := ring.Secret("checkpoint")
	if err != nil {
		return w, err
	}
	key, err := witness.NewKey(issuer.Hostname(), seed)
	if err != nil {
		return w, err
	}
	return witness.OpenFiles(files, key)
}

// lostTime reads what is known of the time that was lost. Where that may not be all, the caller has to say what to do about it.
func lostTime(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store, w witness.Files) (q epochs.Request, lost int64, err error) {
	q.Actor = operator()
	heads, err := st.Heads(ctx)
	if err != nil {
		return q, 0, err
	}
	lost = w.Behind(heads)
	gap := "no exported audit is named (--audit)"
	if file := str(cmd, "audit"); file != "" {
		var ends map[string]chain.Head
		if q.Replay, ends, err = readLater(file, heads); err != nil {
			return q, 0, fmt.Errorf("%s: %w", file, err)
		}
		gap = w.Gap(ends)
	}
	switch u := str(cmd, "unknown"); {
	case u != "" && u != "lock" && u != "keep":
		return q, 0, errUsage{errors.New("--unknown: write lock or keep")}
	case gap != "" && u == "":
		return q, 0, errUsage{fmt.Errorf("nobody can know all that was lost: %s; say with --unknown whether to lock every account or to keep all as they are", gap)}
	case gap != "":
		q.Unknown, q.Lock = true, u == "lock"
	}
	return q, lost, nil
}

// readLater reads the events of an export that the database does not have.
func readLater(file string, heads []chain.Head) (epochs.Replay, map[string]chain.Head, error) {
	var later []audit.Stored
	ends, err := witness.ReadLater(file, heads, func(r chain.Record) error {
		e, err := audit.Decode(r.Writer, r.Seq, r.Body)
		later = append(later, e)
		return err
	})
	return epochs.Later(later), ends, err
}
