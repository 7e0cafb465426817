// Package argon derives keys with argon2id (RFC 9106) as golang.org/x/crypto does, over memory that it keeps between two
// derivations.
//
// The library takes its working memory, 19 MiB for a password, anew from the garbage collector each time. In a small process
// that is more than everything else in use: it sets off a collection with every second password, and stays in the process as
// garbage meanwhile. Here it is mapped outside the heap, in huge pages where there are any, wiped after use, and given back
// when nobody signs in.
//
// What is computed is the library's own code, reached by linkname: the package breaks with a release of the library that
// changes it, at linking or in its tests, and has to follow.
package argon
