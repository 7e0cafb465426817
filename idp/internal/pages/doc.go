// Package pages is what a person sees: sign-up, sign-in, consent, and the account page. Each step does one thing, saves
// it, and answers 303 to the dispatcher that decides what is next; no step knows another.
//
// Routes it mounts:
//
//	/signup /signup/check /signup/continue /signup/details
//	/signin /signin/factor /signin/recovery /signin/enrol /signin/codes /consent /continue
//	/account /account/profile /account/password /account/factors[/enrol|/remove] /account/recovery-codes[/show]
//	/account/sessions[/end] /account/apps[/withdraw] /account/activity /signout /signed-out
//	/language /help /privacy /not-government / /assets/…
//
// It decides nothing about protocol, never issues a token, and never imports oauth: the two meet in flow.
package pages
