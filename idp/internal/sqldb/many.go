package sqldb

import (
	"math/bits"
	"strings"
)

// manyRows is the most rows of one statement. A power of two.
const manyRows = 64

// many are the statements that insert 1, 2, 4 … rows, and how many columns one has.
type many struct {
	columns int
	queries []string
}

// newMany repeats the values of an INSERT of one row.
func newMany(query string) many {
	from := strings.Index(query, "VALUES (") + len("VALUES ")
	to := from + strings.IndexByte(query[from:], ')') + 1
	row := query[from:to]
	m := many{columns: strings.Count(row, "?")}
	for n := 1; n <= manyRows; n *= 2 {
		m.queries = append(m.queries, query[:from]+strings.Repeat(row+",", n-1)+row+query[to:])
	}
	return m
}

// Many runs an INSERT of one row, whose values are all arguments, for many rows: args are those of one after those of another. A
// statement takes as many rows as a power of two has, so that few have to be prepared.
func (t *Tx) Many(query string, args []any) error {
	m, ok := t.many[query]
	if !ok {
		m = newMany(query)
		t.many[query] = m
	}
	for rows := len(args) / m.columns; rows > 0; {
		n := min(bits.Len(uint(rows)), len(m.queries)) - 1
		end := m.columns << n
		if err := t.Run(m.queries[n], args[:end:end]...); err != nil {
			return err
		}
		args, rows = args[end:], rows-1<<n
	}
	return nil
}
