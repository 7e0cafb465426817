// Package memstore keeps in process memory what may be lost at the cost of one retry: pending flows, codes, short-lived
// challenges. It never decides single use: SQL does.
package memstore
