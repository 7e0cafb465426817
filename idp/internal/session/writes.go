package session

import "time"

// Device is a browser that an account signed in from before, known by a long-lived cookie. It opens nothing: it keeps
// its owner from being locked out by strangers, and a new one is worth a mail.
type Device struct {
	ID        string // "dev_…"
	Account   string
	Cookie    [32]byte // hash of the device cookie
	UserAgent string
	FirstSeen time.Time
	LastSeen  time.Time
}

// DeviceLifetime is how long a browser is remembered after it was last used to sign in.
const DeviceLifetime = 180 * 24 * time.Hour

// Start begins a session. Condition: id and cookie are new.
type Start struct {
	Session Session
	Cookie  [32]byte
}

// Renew gives a session a new cookie and the assurance that was just proven: at every change of assurance the old cookie
// dies. Condition: the session lives and its cookie is Old.
type Renew struct {
	Session Session // AuthTime, FactorTime, LastSeen, ACR, AMR, IP, UserAgent and Device replace what is stored
	Old     [32]byte
	New     [32]byte
}

// Touch notes that a session was used. Condition: it has not ended, so that nothing is done in a session that somebody
// ended meanwhile.
type Touch struct {
	ID string
	At time.Time
}

// End ends a session. Condition: it has not ended.
type End struct {
	ID string
	At time.Time
}

// EndAll ends every session of an account but one. No condition.
type EndAll struct {
	Account string
	Except  string // session id; empty: none is spared
	At      time.Time
}

// Know remembers a device, or that it was seen again. No condition.
type Know struct{ Device Device }

// UnitWrite implements unit.Write.
func (Start) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Renew) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Touch) UnitWrite() {}

// UnitWrite implements unit.Write.
func (End) UnitWrite() {}

// UnitWrite implements unit.Write.
func (EndAll) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Know) UnitWrite() {}
