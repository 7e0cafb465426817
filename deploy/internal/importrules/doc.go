// Package importrules holds each module to the order in which its packages may import each other, and to who alone may
// import certain libraries. The tables are in rules.go; a package that is in no table is an error until somebody places
// it. It looks at direct imports only, because every package is looked at.
package importrules
