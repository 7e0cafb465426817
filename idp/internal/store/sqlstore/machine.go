package sqlstore

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"ellis.example/idp/internal/grant"
	"ellis.example/idp/internal/sqldb"
	"ellis.example/idp/internal/unit"
)

// parted takes the conditions that are looked at for a whole batch out of the writes.
func parted(all []unit.Write) (conditions, writes []unit.Write) {
	if !slices.ContainsFunc(all, isMachine) {
		return nil, all
	}
	for _, w := range all {
		if isMachine(w) {
			conditions = append(conditions, w)
		} else {
			writes = append(writes, w)
		}
	}
	return conditions, writes
}

func isMachine(w unit.Write) bool { _, is := w.(grant.MachineStands); return is }

// fallen are the statements that return which of 1, 2, 4 … tokens do not stand, by their numbers.
var fallen = func() (queries []string) {
	for n := range 8 {
		rows := make([]string, 1<<n)
		for i := range rows {
			rows[i] = "(" + strconv.Itoa(i) + ", CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))"
		}
		queries = append(queries, `SELECT m.column1 FROM (VALUES `+strings.Join(rows, ", ")+`) AS m
			WHERE EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.jti = m.column2)
			OR EXISTS (SELECT 1 FROM feed_events e WHERE e.kind = 'client' AND e.ref = m.column3 AND e.api = m.column4 AND e.at >= m.column5)
			OR m.column6 <= (SELECT s.until FROM spent s WHERE s.kind = ? AND s.key = ?)`)
	}
	return queries
}()

// fallenMachines implements sqldb.Options.Broken. As few sizes of statements have to be prepared, the last token fills up what is
// left of one.
func fallenMachines(t *sqldb.Tx, conditions []unit.Write, broken func(int)) (err error) {
	most := 1 << (len(fallen) - 1)
	for from := 0; from < len(conditions) && err == nil; from += most {
		some := conditions[from:min(from+most, len(conditions))]
		n := bits.Len(uint(len(some) - 1))
		args := make([]any, 0, 5<<n+2)
		for i := range 1 << n {
			m := some[min(i, len(some)-1)].(grant.MachineStands)
			args = append(args, m.JTI, m.Client, m.API, m.Issued.UnixMicro(), m.Until.UnixMicro())
		}
		err = t.Ask(func(scan func(...any) error) error {
			var i int
			err := scan(&i)
			if err == nil {
				broken(from + min(i, len(some)-1))
			}
			return err
		}, fallen[n], append(args, sweptKind, sweptKey)...)
	}
	return err
}
