// Package servers starts throw-away PostgreSQL and Redis servers: real ones, in temporary folders, on free ports of loopback,
// with the durability that they have in production. Who starts one ends it with Stop.
//
// A machine without their programs is an error that says what to install.
package servers
