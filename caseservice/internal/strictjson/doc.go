// Package strictjson reads JSON objects the way that security decisions need: valid UTF-8, no duplicate members at any
// level, exact names, bounded depth. With duplicates or folded names, two readers of one text could see different things
// (RFC 8725 §2.4, RFC 8259 §4).
//
// It never decides what a member means.
package strictjson
