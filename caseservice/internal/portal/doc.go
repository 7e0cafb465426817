// Package portal is what applicants see: their cases, fetched from the case API with their own access token.
//
// Routes it mounts:
//
//	GET  /                  front page; leads to /cases when signed in
//	GET  /signin            begins a sign-in; return_to is a page of this origin
//	GET  /callback          the issuer's answer
//	GET  /signout  POST     ends the session here, then leads to the issuer to end its session
//	GET  /signed-out        where the issuer leads back to
//	GET  /cases             every case
//	GET  /cases/{id}        one case
//	GET  /claim    POST     adds a case with receipt number and code
//	GET  /claim/review      what will be sent, after a step-up
//	     /claim/send POST   sends it
//	POST /language          GET /help /privacy /not-government /assets/…
//
// It never opens the case database and never decides who may see what: the API does, on every call. No token ever
// reaches the browser, and no receipt number stands in a URL.
package portal
