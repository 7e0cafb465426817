package client

import "time"

// Create registers a client. Condition: the id is free. The registration must have passed Validate.
type Create struct{ Client Client }

// Update replaces a client's metadata; secret and creation time stay. Condition: the stored version is Client.Version.
type Update struct{ Client Client }

// RotateSecret replaces a client's secret at once. Condition: the stored version is Version.
type RotateSecret struct {
	ID      string
	Hash    [32]byte
	At      time.Time
	Version int64
}

// Delete removes a client. Condition: the stored version is Version. Its grants are revoked by grant.RevokeClient in the
// same unit.
type Delete struct {
	ID      string
	Version int64
}

// UnitWrite implements unit.Write.
func (Create) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Update) UnitWrite() {}

// UnitWrite implements unit.Write.
func (RotateSecret) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Delete) UnitWrite() {}
