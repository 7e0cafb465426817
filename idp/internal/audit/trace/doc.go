// Package trace reads the lineage of a token flow out of the audit record: from any one identifier to everything that
// belongs to the same authorization, and the sign-ins that it stands on. It only reads.
package trace
