// Package notify owns outgoing mail: an outbox in SQL, filled in the same unit as what the mail tells of, and its
// delivery over SMTP with retries. A mail is delivered at least once. Its text is sealed while it waits, because it may
// carry a link that opens something, and forgotten when it has gone.
package notify
