package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/caseservice/internal/clock"
	"ellis.example/caseservice/internal/config"
	"ellis.example/caseservice/internal/epoch"
	"ellis.example/caseservice/internal/sqldb"
	"ellis.example/caseservice/internal/store/sqlstore"
	"ellis.example/caseservice/internal/witness"
)

// restoring is what was asked of restore.
type restoring struct {
	settings
	from, ledger, unknown, lostAt string
	accept, inUse, lost           bool
}

const restoreLong = "restore --from FILE verifies a backup and makes it the database. It never overwrites one. Where an older release made the\n" +
	"backup, accepting brings its schema up to date, as `caseservice migrate up` does.\n\n" +
	"restore --accept makes a restored database the one that counts: after restore --from, and after a PostgreSQL server was\n" +
	"restored, also to a point in time. What the exported ledger (--ledger) says of the time that was lost is done again: who got\n" +
	"a case owns it again, codes that were used or replaced are spent, and tries count. The restore and its gap stand in the\n" +
	"ledger, and in each checkpoint file.\n\n" +
	"Without an export that reaches the last signed checkpoint nobody knows which claim codes were used: say with --unknown\n" +
	"whether all that look unused end (end), and are made anew by `caseservice case code`, or stay (keep). Nobody claims for an\n" +
	"hour after a restore, and for a day where tries are unknown.\n\n" +
	"The same is asked where the witnesses end more than five minutes before the database was lost, because they may have\n" +
	"stopped: say with --lost-at when it was in use last, where that is not now. And it is asked where another restore is among\n" +
	"what was lost, unless the export goes on from the one that it read.\n\n" +
	"Where the database was accepted and that could not be signed, the same call only signs it. Where nothing shows that the\n" +
	"database was restored, because it is no copy and lacks nothing that was signed or exported, it is refused, unless\n" +
	"--accept-in-use says that it is meant."

func newRestoreCommand() *cobra.Command {
	var s restoring
	cmd := &cobra.Command{
		Use: "restore --from FILE | --accept", Short: "Put a backup in place of nothing, or accept a database that was restored", Args: cobra.NoArgs,
		Long: restoreLong,
		Example: "  caseservice restore --from /backup/cases.db --database sqlite:/var/lib/caseservice/cases.db\n" +
			"  caseservice restore --accept --database sqlite:/var/lib/caseservice/cases.db --code-key-file code.key \\\n" +
			"    --checkpoint-file /witness/cases --ledger /witness/ledger.jsonl",
	}
	s.flags(cmd.Flags(), "database", "checkpoint-file", codeKey+"-file")
	cmd.Flags().Lookup("checkpoint-file").Usage = "file of signed checkpoints; with several replicas, the file of each, separated by commas"
	s.more(cmd.Flags())
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.check(); err != nil {
			return err
		}
		if !s.accept {
			b, err := s.place(cmd.Context())
			if err != nil {
				return err
			}
			return show(cmd, *asJSON, b, b.text()+"\nIt is not served before `caseservice restore --accept`.")
		}
		key, err := config.Key(cmd.Flags(), prefix, codeKey)
		if err != nil {
			return err
		}
		done, err := s.accepted(cmd.Context(), key)
		if err != nil {
			return err
		}
		return show(cmd, *asJSON, done, done.text())
	}
	return cmd
}

func (s *restoring) more(f *pflag.FlagSet) {
	f.StringVar(&s.from, "from", "", "the backup")
	f.BoolVar(&s.accept, "accept", false, "make a restored database the one that counts")
	f.BoolVar(&s.inUse, "accept-in-use", false, "accept also where nothing shows that the database was restored")
	f.StringVar(&s.ledger, "ledger", "", "file that `caseservice serve --ledger-export` or `ledger export` wrote")
	f.StringVar(&s.unknown, "unknown", "", "what becomes of unused claim codes where nobody can know which were used: end or keep")
	f.StringVar(&s.lostAt, "lost-at", "", "when the database was in use last, as 2026-11-28T05:59:00Z (default: now)")
	f.BoolVar(&s.lost, "checkpoints-lost", false, "go on where a file of --checkpoint-file is not there or holds none, and begin it anew")
}

// check says what is wrong with what was asked. Errors: *config.Error, errUsage.
func (s *restoring) check() error {
	switch {
	case s.accept == (s.from != ""):
		return fmt.Errorf("%w: name a backup with --from, or accept a restored database with --accept", errUsage)
	case s.unknown != "" && s.unknown != "end" && s.unknown != "keep":
		return &config.Error{Where: "--unknown", Problem: "end or keep"}
	}
	return s.checkDatabase()
}

// place makes a verified backup the database.
func (s *restoring) place(ctx context.Context) (b backup, err error) {
	path, lite := strings.CutPrefix(s.database, "sqlite:")
	if !lite {
		return b, &config.Error{Where: "--database", Problem: "a backup file becomes a SQLite database; PostgreSQL is restored by its own means (docs/operations/backup.md), then accepted with --accept"}
	}
	if b, err = checkCopy(ctx, s.from); err != nil {
		return b, fmt.Errorf("%s: %w", s.from, err)
	}
	err = sqldb.PlaceCopy(path, s.from, b.SHA256)
	b.File = path
	return b, err
}

// acceptance is what `restore --accept` prints.
type acceptance struct {
	Epoch  int64 `json:"epoch"`
	Signed bool  `json:"signed,omitempty"` // it was accepted before, and only the signatures were missing
	Lost   int64 `json:"lost_at_least"`
	epoch.Replay
	Unused     string    `json:"unused_codes,omitempty"` // in the copy: known, ended, kept
	Until      time.Time `json:"known_until,omitzero"`
	ClaimsFrom time.Time `json:"claims_from,omitzero"`
}

func (a acceptance) text() string {
	if a.Signed {
		return fmt.Sprintf("epoch %d was accepted before: only the signatures were missing", a.Epoch)
	}
	known := "nothing is known of the time that was lost"
	if !a.Until.IsZero() {
		known = "what happened until " + a.Until.Format(time.RFC3339) + " is known"
	}
	return fmt.Sprintf("epoch %d: at least %d entries were lost; %s\n%d owners and %d tries again; unused claim codes: %s; claims are taken from %s on\ncases to import again: %s",
		a.Epoch, a.Lost, known, len(a.Owners), a.Tries, a.Unused, a.ClaimsFrom.Format(time.RFC3339), strings.Join(a.Gone, " "))
}

// accepted accepts a restored database and signs that in every witness.
func (s *restoring) accepted(ctx context.Context, key []byte) (done acceptance, err error) {
	store, err := sqlstore.Open(ctx, sqlstore.Options{Database: s.database, Role: "command", Existing: true})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	o, origin, err := s.outside(key)
	if err != nil {
		return done, err
	}
	l, err := s.readLost(ctx, store, o)
	if err != nil {
		return done, err
	}
	if done.Signed, err = l.OnlySign(ctx, store, o); err != nil {
		return done, err
	}
	e := l.epoch
	if done.Epoch = e.N; !done.Signed {
		if e, done, err = s.raised(ctx, store, l, o); err != nil {
			return done, err
		}
	}
	heads, err := store.Heads(ctx)
	if err == nil {
		err = o.Sign(witness.Checkpoint{Origin: origin, At: e.At, Heads: heads, Epoch: e.N})
	}
	if err != nil {
		return done, fmt.Errorf("the database is accepted, but that could not be signed: run this again (%w)", err)
	}
	return done, nil
}

// raised begins the next epoch.
func (s *restoring) raised(ctx context.Context, store *sqlstore.Store, l lostTime, o witness.Files) (e epoch.Epoch, done acceptance, err error) {
	if err := s.restored(ctx, store, l, o); err != nil {
		return e, done, err
	}
	q, err := s.request(l, o)
	if err != nil {
		return e, done, err
	}
	e, err = epoch.Accept(ctx, epoch.Deps{Store: store, Commit: store, Clock: clock.System{}}, q)
	return e, acceptance{e.N, false, q.Lost, q.Replay, q.Codes(), q.Told, q.ClaimsFrom(e)}, err
}
