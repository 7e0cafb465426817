// Package redisdb is the connection to Redis: one server, a primary found by Sentinel, or a Cluster, chosen by the URL. It
// owns addresses, credentials, TLS, timeouts, and the check that the server gives nothing up by itself.
//
// It knows no key and, of all values, only how a rate is counted.
package redisdb
