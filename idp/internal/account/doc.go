// Package account owns people: who they are, the names and addresses by which they are found, their status, and the rules
// that passwords must keep. It never sees a request, a session or a factor's secret.
package account
