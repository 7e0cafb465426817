// Package reach measures how far a revocation is from the last API that takes the token: two replicas of the identity
// provider and two of the case API, over PostgreSQL and Redis, behind load balancers and under load.
//
//	go test ./deploy/reach                                     a few of each kind
//	go test ./deploy/reach -v -timeout 30m -revocations 1000   a thousand of them, with their delays
//
// A delay begins with the answer that says that something is revoked, and ends with the answer in which the last replica of
// the API, asked by itself, refuses what was issued before.
package reach
