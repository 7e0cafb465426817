// Package witness keeps what speaks for a record outside the database that holds it: signed checkpoints over the heads of
// its chains, and an export of its records, each in a file that is only ever appended to. It verifies chains against
// checkpoints, and tells a database that was set back from one that went on.
//
// It owns the texts of both files. It knows nothing of what the records say, and never repairs anything.
package witness
