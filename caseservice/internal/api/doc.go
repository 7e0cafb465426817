// Package api is the case API: the JSON resource under /v1, its description and its metadata.
//
// Routes it mounts (below the path of the audience, if that has one):
//
//	GET  /v1/cases               scope cases:read
//	GET  /v1/cases/{id}          scope cases:read, relationship
//	GET  /v1/cases/{id}/events   scope cases:read, relationship
//	POST /v1/claims              scope cases:claim, acr aal2, auth_time within 300 s
//	GET  /v1/stats               scope cases:stats, machine clients
//	GET  /openapi.yaml, /openapi.json
//	GET  /.well-known/oauth-protected-resource
//
// Each handler has the same phases: who calls (accesstoken), read, may they (cases.Can), render, ledger, answer. The
// answer leaves only when its ledger entry is durable. It never decides by itself who may see a case, never writes SQL,
// and never puts a receipt number in a URL or a log line.
package api
