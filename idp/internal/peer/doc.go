// Package peer tells who is at the other end of a connection, and how far what proxies say of it can be believed.
package peer
