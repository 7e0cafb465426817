package lease

import (
	"context"
	"time"

	"ellis.example/idp/internal/unit"
)

// Row is a lease as the database has it.
type Row struct {
	Name   string
	Holder string // empty: it was given back, or nobody ever had it
	Fence  int64  // of the last holder; 0: there was none
	Beat   int64  // changes with every sign of life
}

// Take makes somebody the holder, under the next fencing number. Condition: the row still is as it was.
type Take struct {
	Was    Row // Fence 0: there is no row
	Holder string
	At     time.Time // for people alone
}

// Renew shows that a holder lives. Condition: he is the holder.
type Renew struct {
	Name  string
	Fence int64
	At    time.Time
}

// Release gives a lease back. Condition: it is the holder who does.
type Release struct {
	Name  string
	Fence int64
	At    time.Time
}

// Held changes nothing. Condition: the lease is held under this fencing number, and stays so until the unit has ended.
type Held struct {
	Name  string
	Fence int64
}

// UnitWrite implements unit.Write.
func (Take) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Renew) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Release) UnitWrite() {}

// UnitWrite implements unit.Write.
func (Held) UnitWrite() {}

var (
	_ unit.Write = Take{}
	_ unit.Write = Renew{}
	_ unit.Write = Release{}
	_ unit.Write = Held{}
)

// Reader is what candidates ask of a store.
type Reader interface {
	// Lease returns the row of a lease; one with a name alone when there is none.
	Lease(ctx context.Context, name string) (Row, error)
}
