// Package client owns relying parties: their metadata, the rules a registration must keep, exact redirect matching, and the
// policy that follows from the metadata. It never authenticates a request and never speaks HTTP.
package client
