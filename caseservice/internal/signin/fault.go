package signin

import "ellis.example/caseservice/internal/fault"

// The faults of sign-in and session. Pages have words for each code.
var (
	// ErrNoSession: nobody is signed in with this browser.
	ErrNoSession = fault.New(fault.Unauthenticated, "session_none", "sign in first")
	// ErrSessionEnded: somebody was, but the session ended: idle, too old, signed out, or its tokens were revoked.
	ErrSessionEnded = fault.New(fault.Unauthenticated, "session_ended", "the session ended; sign in again")

	// ErrAttemptUnknown: the answer of the issuer belongs to no sign-in that began in this browser, or to one that is over.
	ErrAttemptUnknown = fault.New(fault.Gone, "signin_expired", "this sign-in did not begin in this browser, or it is over; begin again")
	// ErrMismatch: state, issuer, nonce or ID token are not what was asked for.
	ErrMismatch = fault.New(fault.Forbidden, "signin_mismatch", "the answer of the issuer does not fit what was asked; begin again")
	// ErrDenied: the person said no.
	ErrDenied = fault.New(fault.Forbidden, "signin_denied", "the person did not allow it")
	// ErrRequired: the issuer would have had to ask the person and could not.
	ErrRequired = fault.New(fault.Forbidden, "signin_required", "the issuer wants the person to sign in anew")
	// ErrOtherPerson: a fresh sign-in was asked of one person and another one came back.
	ErrOtherPerson = fault.New(fault.Forbidden, "signin_other_person", "somebody else signed in than the one who was asked")
	// ErrTooWeak: the sign-in is older or weaker than what was asked for.
	ErrTooWeak = fault.New(fault.Forbidden, "signin_too_weak", "the sign-in is older or weaker than what was asked for")
	// ErrCrowded: too many sign-ins came from this network at once.
	ErrCrowded = fault.New(fault.TooMany, "signin_crowded", "too many sign-ins came from this network; wait a moment and try again")
	// ErrUnavailable: the issuer does not answer.
	ErrUnavailable = fault.New(fault.Unavailable, "signin_unavailable", "the sign-in service does not answer")
	// ErrConfig: the issuer refuses this portal as such. Only its operator can change that.
	ErrConfig = fault.New(fault.Internal, "signin_config", "the issuer refuses this client")
)
