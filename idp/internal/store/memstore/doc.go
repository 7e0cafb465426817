// Package memstore keeps in process memory what may be lost at the cost of one retry: pending flows, codes, short-lived
// challenges, and rates of requests. It never decides single use: SQL does.
//
// Each kind has a budget of its own, in entries and bytes. Flows that anybody can begin make room for new ones, oldest first;
// those of people who have proven something stay.
package memstore
