// Package caseapi calls the case API over HTTP with a person's access token. Its types follow internal/api/openapi.yaml,
// which is all that the two have in common: the portal could run on another machine, in another release.
//
// It never keeps an answer, never retries a write and never logs a token, a receipt number or a claim code.
package caseapi
