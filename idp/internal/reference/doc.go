// Package reference describes a program to whoever writes its reference: every command with its flags, and every metric
// that it registers. The pages in docs/reference are written from it.
//
// It runs nothing and reads no setting: what it says of a flag is its default.
package reference
