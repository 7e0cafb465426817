// Package mailbox is the mail server of the demo and of black-box tests: it takes every mail that it is handed over SMTP,
// keeps the newest in memory and shows them on a page and as JSON.
//
// It forwards nothing and knows no accounts. It is never linked into what ships, and it answers on loopback only: mails
// carry links that open something.
package mailbox
