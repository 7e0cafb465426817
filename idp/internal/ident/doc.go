// Package ident makes and checks identifiers and secret artefacts.
//
// It owns two things: opaque identifiers that name rows (128 random bits, or 80 behind the time) and typed bearer artefacts (256 random bits
// with a kind prefix and a checksum). It never stores anything and never decides whether an artefact is still good.
package ident
