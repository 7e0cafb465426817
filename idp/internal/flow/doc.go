// Package flow owns one pending authorization (or a pending visit to an account page) and decides, purely, what it needs
// next. Every rule about prompt, max_age, acr_values, id_token_hint and consent is here and nowhere else.
//
// A flow's record lives in the volatile store and never decides who gets in: sessions, consents and the flow's own single
// use are in SQL. It never speaks HTTP.
package flow
