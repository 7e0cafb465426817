package sqldb

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// hosts orders the servers of a data source name: the one that answered last is asked first. One that is gone without a word
// would cost every new connection its patience, until somebody takes it out of the name.
type hosts struct {
	names sync.Map // of a server, by its address
	last  atomic.Pointer[string]
}

// options are how a pool follows h.
func (h *hosts) options(cfg *pgx.ConnConfig) []stdlib.OptionOpenDB {
	lookup := cfg.LookupFunc
	cfg.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		addrs, err := lookup(ctx, host)
		for _, a := range addrs {
			h.names.Store(a, host)
		}
		return addrs, err
	}
	return []stdlib.OptionOpenDB{stdlib.OptionBeforeConnect(h.order), stdlib.OptionAfterConnect(h.answered)}
}

// answered remembers who answered.
func (h *hosts) answered(_ context.Context, c *pgx.Conn) error {
	ip, port, err := net.SplitHostPort(c.PgConn().Conn().RemoteAddr().String())
	if err != nil {
		return nil //nolint:nilerr // a socket of this machine: whoever is there answers at once
	}
	if name, ok := h.names.Load(ip); ok {
		server := net.JoinHostPort(name.(string), port)
		h.last.Store(&server)
	}
	return nil
}

// order puts all entries of the server that answered last first, as they stood: one may be with TLS and one without.
func (h *hosts) order(_ context.Context, c *pgx.ConnConfig) error {
	last := h.last.Load()
	if last == nil {
		return nil
	}
	all := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	rank := func(f *pgconn.FallbackConfig) int {
		if net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))) == *last {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *pgconn.FallbackConfig) int { return rank(a) - rank(b) })
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
	return nil
}
