// Package pkcs11 holds signing keys in a PKCS #11 token: a hardware security module, or software that acts as one. Pairs are
// made in the token, labelled by their kid, and marked so that their private parts never leave it.
//
// It needs cgo, and so stands behind the build tag pkcs11: what is released is built without it.
package pkcs11
