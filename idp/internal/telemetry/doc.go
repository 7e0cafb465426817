// Package telemetry makes traces: a span for each request that is answered, one for each that is sent on to the other
// services, and one for each wait for a commit. It sends them to a collector by OTLP over HTTP.
//
// It owns whose traces are joined, what a span may say (templates, names of services, statuses and counts; never a path, a
// query, an address, a text of an error or who somebody is), the bounded queue to the collector, and the ids of log lines.
//
// Without a collector there is no Tracer. Its methods are called on nil then: they do nothing and allocate nothing.
//
// It mounts no routes, and is the only package that imports OpenTelemetry.
package telemetry
