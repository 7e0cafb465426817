// Package admin manages what is registered: clients and APIs, one by one or from a document that says how they shall be,
// and the accounts of people as far as an operator may.
// Every change is one unit with one audit event.
//
// It never speaks HTTP and mounts no routes; commands call it. It keeps no secret: a new one is returned once.
package admin
