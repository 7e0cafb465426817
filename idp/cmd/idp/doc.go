// Command idp is the identity provider and the tool of its operator. It parses, wires and runs; what it wires lives in the
// internal packages. It is the only package that imports all of them.
package main
