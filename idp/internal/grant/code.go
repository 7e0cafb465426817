package grant

import (
	"context"
	"time"
)

// Code is what an authorization code stands for. It is kept in the volatile store, by the code's hash: losing it costs the
// person one retry. Whether the code was used is decided in SQL alone.
type Code struct {
	Grant       Grant     // recorded in SQL when the code was issued
	RedirectURI string    // the redirect_uri parameter as it was sent; empty if it was left out (RFC 6749 §4.1.3)
	Challenge   string    // code_challenge, S256 (RFC 7636 §4.2)
	Resource    string    // the resource parameter of the request (RFC 8707 §2.1)
	ExpiresAt   time.Time // RFC 6749 §4.1.2
	Epoch       int64     `json:",omitempty"` // in which it was issued; package epoch sets and checks it
}

// CodeStore keeps codes until they expire.
type CodeStore interface {
	// PutCode keeps c under the hash of the code.
	PutCode(ctx context.Context, hash [32]byte, c Code) error
	// GetCode returns what a code stands for. Errors: ErrNotFound, also when it has expired.
	GetCode(ctx context.Context, hash [32]byte) (Code, error)
	// DeleteCode forgets a code. It is no error if there is none.
	DeleteCode(ctx context.Context, hash [32]byte) error
}
