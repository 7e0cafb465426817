// Package i18n speaks the languages of the provider: catalogues with stable keys, negotiation, plurals, dates, names of
// countries.
//
// It owns every word that a person reads on a page or in a mail. It never decides what is said, never holds HTML (the
// texts are plain and escaped where they are placed) and imports nothing of the project.
//
// A language is one file in catalogue/ and one in countries/. A test refuses keys that only one language has, keys that
// nobody uses and keys that are used but missing.
package i18n
