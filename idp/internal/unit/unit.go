package unit

import (
	"context"
	"errors"
	"fmt"
)

// Write is a conditional write. Every implementation is a plain value that documents its condition.
type Write interface {
	// UnitWrite marks the type; it does nothing.
	UnitWrite()
}

// Event is the audit event that stands for the unit. It is implemented by audit.Event.
type Event interface {
	// EventType returns the event's type, e.g. "session.started".
	EventType() string
}

// Unit is what one protocol step does to lasting state.
type Unit struct {
	Writes []Write
	Event  Event
}

// Committer makes units durable.
type Committer interface {
	// Commit applies all writes of u in order and appends its event, in one atomic and durable step. It returns after
	// the step is on disk. Errors: *Conflict when a write's condition does not hold (nothing was written);
	// a fault of kind Unavailable when the store is down or its queue is full; the context's error.
	Commit(ctx context.Context, u Unit) error
}

// Conflict says that a write's condition did not hold: somebody else was first, or the state is another.
type Conflict struct {
	Write Write  // the first write that failed
	Why   string // for logs
}

// Error implements error.
func (c *Conflict) Error() string { return fmt.Sprintf("conflict in %T: %s", c.Write, c.Why) }

// ConflictIn reports whether err is a conflict in a write of type W, and returns that write.
func ConflictIn[W Write](err error) (W, bool) {
	var c *Conflict
	if errors.As(err, &c) {
		w, ok := c.Write.(W)
		return w, ok
	}
	var none W
	return none, false
}

// IsConflict reports whether err is any conflict.
func IsConflict(err error) bool {
	var c *Conflict
	return errors.As(err, &c)
}
