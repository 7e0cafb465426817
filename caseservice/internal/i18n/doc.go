// Package i18n speaks the languages of the portal: a catalogue with stable keys, negotiation, plurals, dates.
//
// It owns every word of the portal's pages that does not come from the case API, whose texts arrive in each language. It
// never decides what is said, never holds HTML (the texts are plain and escaped where they are placed) and imports
// nothing of the project.
//
// A language is one file in catalogue/. A test refuses keys that only one language has, keys that nobody uses and keys
// that are used but missing.
package i18n
