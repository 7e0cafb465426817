// Package uitest holds one sample and more of every page and mail, for tests that look at all of them.
//
// It never reaches the program.
package uitest
