// Package redisstore keeps the portal's sessions in Redis, for all replicas of the portal: signin.Store for more than one process.
//
// A key is a MAC of the hash of the browser's secret, and a value is sealed and bound to its key under a key that the replicas
// share and Redis never sees, so that who reads Redis takes over nobody and who writes there makes nobody up. What Redis
// loses costs people one sign-in. What it brings back after a failover opens nothing: the issuer withdrew its tokens.
package redisstore
