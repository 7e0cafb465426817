package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
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
	for _, left := range []string{path + "-wal", path + "-shm", path + "-journal"} {
		if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is there: it belongs to a database that was in this place; move it away first", left)
		}
	}
	b, err := checkCopy(cmd.Context(), file)
	if err != nil {
		return fmt.Errorf("%s: %s", file, explain(err))
	}
	err = sqldb.Place(path, func(part string) error {
		sum, err := sqldb.CopyFile(part, file)
		if err == nil && sum != b.SHA256 {
			err = errors.New("the backup changed while it was read")
		}
		return err
	})
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("a database is in this place: move it away first (%w)", err)
	}
	if err != nil {
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
	if len(w.lost) > 0 && !gone {
		return errUsage{fmt.Errorf("--checkpoint-file: %s: no checkpoint is there; where they are lost, say so with --checkpoints-lost", strings.Join(w.lost, ", "))}
	}
	q, lost, err := w.request(ctx, cmd, st)
	if err != nil {
		return err
	}
	e, err := epochs.Accept(ctx, epochs.Deps{Store: st, Commit: st, Keys: ring, Clock: clock.System{}}, q)
	if err != nil {
		return err
	}
	if err := w.record(ctx, st, e); err != nil {
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

// witnesses are the files outside the database that say what it held.
type witnesses struct {
	key    *witness.Key
	origin *url.URL
	files  []string
	last   []witness.Checkpoint // of each file that has any
	lost   []string             // files that are not there, or empty
}

func openWitnesses(ring *keyring.Ring, issuer *url.URL, files []string) (w witnesses, err error) {
	w.origin, w.files = issuer, files
	seed, err := ring.Secret("checkpoint")
	if err != nil {
		return w, err
	}
	if w.key, err = witness.NewKey(issuer.Hostname(), seed); err != nil {
		return w, err
	}
	for _, f := range files {
		c, kept, err := witness.Last(f, w.key)
		if err != nil {
			return w, fmt.Errorf("%s: %w", f, err)
		}
		if kept {
			w.last = append(w.last, c)
		} else {
			w.lost = append(w.lost, f)
		}
	}
	return w, nil
}

// request reads what is known of the time that was lost. Where that may not be all, the caller has to say what to do about it.
func (w witnesses) request(ctx context.Context, cmd *cobra.Command, st *sqlstore.Store) (q epochs.Request, lost int64, err error) {
	q.Actor = operator()
	heads, err := st.Heads(ctx)
	if err != nil {
		return q, 0, err
	}
	for _, c := range w.last {
		lost = max(lost, c.Lost(heads))
	}
	gap := "no exported audit is named (--audit)"
	if file := str(cmd, "audit"); file != "" {
		var ends map[string]chain.Head
		if q.Replay, ends, err = readLater(file, heads); err != nil {
			return q, 0, fmt.Errorf("%s: %w", file, err)
		}
		gap = w.gap(ends)
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

// gap says what an export lacks of what was signed, or "" when it has all.
func (w witnesses) gap(ends map[string]chain.Head) string {
	switch {
	case len(w.files) == 0:
		return "no signed checkpoint says how far the export has to reach (--checkpoint-file)"
	case len(w.lost) > 0:
		return "what was signed in " + strings.Join(w.lost, ", ") + " is lost"
	}
	for _, c := range w.last {
		for _, h := range c.Heads {
			if ends[h.Writer].Seq < h.Seq {
				return fmt.Sprintf("the export of writer %s ends at %d, a checkpoint knows record %d", h.Writer, ends[h.Writer].Seq, h.Seq)
			}
		}
	}
	return ""
}

// readLater reads the events of an export that the database does not have. What both have must be the same.
func readLater(file string, heads []chain.Head) (epochs.Replay, map[string]chain.Head, error) {
	have := map[string]chain.Head{}
	for _, h := range heads {
		have[h.Writer] = h
	}
	var later []audit.Stored
	ends, err := witness.ReadExport(file, func(r chain.Record) error {
		at := have[r.Writer]
		switch {
		case r.Seq == at.Seq && r.Hash != at.Hash:
			return &chain.Broken{Writer: r.Writer, Seq: r.Seq, Why: "the export is of another database, or one of the two was changed"}
		case r.Seq <= at.Seq:
			return nil
		}
		e, err := audit.Decode(r.Writer, r.Seq, r.Body)
		later = append(later, e)
		return err
	})
	return epochs.Later(later), ends, err
}

// record signs in every file that the database as it is now was accepted.
func (w witnesses) record(ctx context.Context, st *sqlstore.Store, e epochs.Epoch) error {
	heads, err := st.Heads(ctx)
	if err != nil {
		return err
	}
	text, err := w.key.Sign(witness.Checkpoint{Origin: w.origin.String(), At: e.At, Heads: heads, Epoch: e.N})
	if err != nil {
		return err
	}
	for _, f := range w.files {
		if err := witness.Append(f, text); err != nil {
			return err
		}
	}
	return nil
}
