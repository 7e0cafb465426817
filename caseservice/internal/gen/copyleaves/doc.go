// Command copyleaves copies the shared leaves. It runs in caseservice/internal/gen by go generate.
package main
