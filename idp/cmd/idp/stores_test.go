package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ellis.example/idp/internal/sqldb/pgtest"
	"ellis.example/idp/internal/store/redisstore/redisdb"
	"ellis.example/idp/internal/store/redisstore/redistest"
)

// kind is where a world keeps its state.
type kind string

const (
	embedded kind = "sqlite"   // SQLite, and the memory of one process
	shared   kind = "postgres" // PostgreSQL and Redis, below two replicas
)

func (k kind) replicas() int {
	if k == shared {
		return 2
	}
	return 1
}

// onEach runs a test on each kind of store: what one of them refuses the other must refuse as well, whichever replica is asked.
func onEach(t *testing.T, test func(t *testing.T, on kind)) {
	t.Helper()
	for _, k := range []kind{embedded, shared} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// TestMain gives the tests memory and ends the servers that they share.
func TestMain(m *testing.M) {
	roomy()
	code := pgtest.Main(m)
	if err := redistest.StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "redistest:", err)
		code = 1
	}
	os.Exit(code)
}

// roomy lets the heap of the tests grow. A command that serves takes the process for its own and bounds its memory, which
// is too little for all the providers of the tests beside it: the collector then works without end. What the environment
// says is left alone by the command, and goes before.
func roomy() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		_, _ = os.Setenv("GOGC", "400"), os.Setenv("GOMEMLIMIT", "2GiB") // neither has a NUL
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(2 << 30)
	}
}

// prepared is the template of SQLite.
var prepared = sync.OnceValues(func() (t template, err error) {
	dir, err := os.MkdirTemp("", "idp-template-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "idp.db")
	if t, err = makeTemplate("sqlite:" + file); err != nil {
		return t, err
	}
	t.db, err = os.ReadFile(file)
	return t, err
})

// preparedShared is the template of PostgreSQL.
var preparedShared struct {
	once sync.Once
	t    template
	err  error
}

func sharedTemplate(t *testing.T) template {
	t.Helper()
	p := &preparedShared
	p.once.Do(func() {
		dsn := pgtest.Database(t)
		p.t, p.err = makeTemplate(dsn)
		p.t.dsn = dsn
	})
	if p.err != nil || p.t.dsn == "" {
		t.Fatal("no template: ", p.err)
	}
	return p.t
}

// keep gives a world a copy of the template, and a part of its own of what is volatile.
func (w *world) keep(s *settings) {
	w.Helper()
	if w.on == shared {
		w.template = sharedTemplate(w.T)
		w.dsn = pgtest.Copy(w.T, w.template.dsn)
		s.database, s.redis = w.dsn, redisdb.Config{URL: redistest.Database(w.T)}
		return
	}
	tpl, err := prepared()
	w.must(err)
	w.template, w.file = tpl, filepath.Join(w.TempDir(), "idp.db")
	w.must(os.WriteFile(w.file, tpl.db, 0o600))
	s.database = "sqlite:" + w.file
}

// bind writes a query that a test asks SQLite as PostgreSQL has it.
func (w *world) bind(query string) string {
	if w.on != shared {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(strings.ReplaceAll(query, "CAST(body AS TEXT)", "convert_from(body, 'UTF8')"), "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}
