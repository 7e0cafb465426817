// Package seal keeps secrets unreadable at rest: AES-256-GCM (Tink) under a key-encryption key that stands outside the
// database. Each sealed value names the key that sealed it, so that keys can be rotated, and is bound to what it belongs
// to, so that a row cannot be moved to another owner.
package seal
