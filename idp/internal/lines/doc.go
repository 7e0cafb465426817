// Package lines writes a log in pieces of many lines: a line of its own for each request costs a system call each, which is
// more than a small answer does. The audit is what must not be lost; of a log, a process that is killed loses its last tenth
// of a second where it wrote many.
package lines
