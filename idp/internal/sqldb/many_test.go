package sqldb

import (
	"fmt"
	"slices"
	"testing"
)

func TestMany_InsertsEachRowOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		const query = `INSERT INTO things (name, n, note) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
		var want []string
		for _, n := range []int{0, 1, 2, 3, 63, 64, 65, 200} {
			var rows []any
			for i := range n {
				name := fmt.Sprintf("%03d of %03d", i, n)
				want, rows = append(want, name), append(rows, name, i, "VALUES (?)")
			}
			for range 2 { // the second time they are there
				if err := db.Commit(t.Context(), func(tx *Tx) error { return tx.Many(query, rows) }, nil); err != nil {
					t.Fatalf("%d: %v", n, err)
				}
			}
		}
		var got []string
		err := db.Rows(t.Context(), func(scan func(...any) error) error {
			var name, note string
			var n int
			err := scan(&name, &n, &note)
			if got = append(got, name); note != "VALUES (?)" || name[:3] != fmt.Sprintf("%03d", n) {
				t.Errorf("%s: %d, %q", name, n, note)
			}
			return err
		}, `SELECT name, n, note FROM things`)
		slices.Sort(got)
		if slices.Sort(want); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d rows of %d, %v", len(got), len(want), err)
		}
	})
}
