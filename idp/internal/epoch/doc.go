// Package epoch keeps a restored database from bringing the past back.
//
// A restored database knows nothing of what was spent, revoked or changed after it was copied. Accepting it raises the
// epoch, in one unit with its audit event: sessions, grants, links, unused recovery codes that nobody can vouch for, and
// signing keys end; what was kept outside the database of an earlier epoch is not found any more. What the exported audit
// says of the time that was lost is applied again, and accounts of which nobody can know are locked.
//
// It owns the epoch, the unit that raises it, and the plan of what to apply again. It never restores files: that is the
// command's and the operator's.
package epoch
