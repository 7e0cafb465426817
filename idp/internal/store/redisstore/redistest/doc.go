// Package redistest starts throw-away Redis servers for tests: real ones, in temporary folders, on free ports of loopback,
// alone, as a Sentinel set or as a Cluster, ended with the tests. A machine without the server's program fails the test;
// it is never passed over.
package redistest
