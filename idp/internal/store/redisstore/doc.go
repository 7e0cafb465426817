// Package redisstore keeps in Redis what may be lost at the cost of one retry, for all replicas: pending flows, codes,
// short-lived challenges, and rates of requests. It never decides single use: SQL does. Whatever Redis loses, gives back
// after a failover or is made to say lets nobody in.
//
// A key is a MAC of what it stands for, and a value is sealed and bound to its key, so that who reads Redis learns nothing
// of anybody and who writes there can make nothing up. Both are under secrets that the replicas share through SQL. Each key
// has a time to live, and each value its end, which is what counts. One operation touches keys of one slot.
//
// Flows that anybody can begin make room for new ones, oldest first; those of people who have proven something have a budget
// of their own.
package redisstore
