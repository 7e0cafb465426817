package sqldb

import (
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// How long PostgreSQL may take for one thing before the client gives up on it. Each is far more than it needs, and less
// than people wait.
const (
	connectPatience     = 5 * time.Second
	severalPatience     = 2 * time.Second // for each of several servers: one that is gone stands before the one that answers
	statementPatience   = 5 * time.Second
	lockPatience        = 2 * time.Second
	idleInTransaction   = 5 * time.Second
	transactionPatience = 10 * time.Second
	beginPatience       = 4 * time.Second
	connectionLife      = 30 * time.Minute // so that a moved server is found again
)

func postgresDialect(dsn string) (*dialect, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, ErrDSN.Because(errors.New("it cannot be read as a PostgreSQL URL")) // the parser's own words may hold the password
	}
	if cfg.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol { // it puts arguments into the text of statements
		return nil, ErrDSN.Because(errors.New("the simple protocol is not spoken: leave out default_query_exec_mode"))
	}
	cfg.ConnectTimeout = connectPatience
	var follow []stdlib.OptionOpenDB
	if slices.ContainsFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != cfg.Host || f.Port != cfg.Port }) {
		if cfg.ValidateConnect == nil { // a standby would do, and be kept to
			return nil, ErrDSN.Because(errors.New("add target_session_attrs=read-write where it names several servers"))
		}
		cfg.ConnectTimeout = severalPatience
		follow = (&hosts{}).options(cfg)
	}
	for name, value := range map[string]string{
		"statement_timeout": millis(statementPatience), "lock_timeout": millis(lockPatience),
		"idle_in_transaction_session_timeout": millis(idleInTransaction),
		"application_name":                    "ellis", "timezone": "UTC", "default_transaction_isolation": "read committed",
	} {
		if _, given := cfg.RuntimeParams[name]; !given {
			cfg.RuntimeParams[name] = value
		}
	}
	return &dialect{
		name: "postgres", goose: goose.DialectPostgres,
		locker: func() ([]goose.ProviderOption, error) {
			l, err := lock.NewPostgresSessionLocker()
			return []goose.ProviderOption{goose.WithSessionLocker(l)}, err
		},
		bind: numbered, clean: storable,
		begin: "BEGIN", flies: true, serialize: `SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`,
		share:     `SELECT pg_advisory_xact_lock_shared(hashtextextended(?, 0))`,
		unhurried: "SET LOCAL statement_timeout = 0",
		patience:  transactionPatience,
		knock:     beginPatience,
		tables:    `SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass(?)`,
		broken:    postgresBreach,
		settled:   postgresSettled,
		open: func(conns int) (*sql.DB, error) {
			db := stdlib.OpenDB(*cfg, follow...)
			db.SetMaxOpenConns(conns)
			db.SetMaxIdleConns(conns)
			db.SetConnMaxLifetime(connectionLife)
			return db, nil
		},
	}, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// numbered writes `?` and `?N` as PostgreSQL does: `$N`. Text between quotes stays.
func numbered(query string) string {
	var b strings.Builder
	quoted, n := false, 0
	for i := 0; i < len(query); i++ {
		c := query[i]
		if c == '\'' {
			quoted = !quoted
		}
		if c != '?' || quoted {
			b.WriteByte(c)
			continue
		}
		end := i + 1
		for end < len(query) && query[end] >= '0' && query[end] <= '9' {
			end++
		}
		b.WriteByte('$')
		if end > i+1 {
			b.WriteString(query[i+1 : end])
		} else {
			n++
			b.WriteString(strconv.Itoa(n))
		}
		i = end - 1
	}
	return b.String()
}

// storable makes text what PostgreSQL stores: UTF-8 without NUL. Names of browsers come from anybody, and must not make a
// transaction of many fail.
func storable(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

// SQLSTATE codes (PostgreSQL, appendix A).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
)

func postgresBreach(err error) breach {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return other
	}
	switch e.Code {
	case uniqueViolation:
		return unique
	case serializationFailure, deadlockDetected:
		return crossed
	case lockNotAvailable:
		return again
	}
	return other
}

// postgresSettled tells the server's word that nothing was written from that of a server that is going, or of a pooler that lost
// its server: the commit may be done by then (SQLSTATE classes 08 and 57P, and 40003).
func postgresSettled(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Severity != "FATAL" && e.Severity != "PANIC" &&
		!strings.HasPrefix(e.Code, "08") && !strings.HasPrefix(e.Code, "57P") && e.Code != "40003"
}
