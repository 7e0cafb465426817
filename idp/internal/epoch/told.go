package epoch

import (
	"strconv"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/chain"
	"ellis.example/idp/internal/witness"
)

// typeRaised is the event of an acceptance.
const typeRaised = "epoch.raised"

// Acceptance reads the event of one; nil: it is another event.
func Acceptance(e audit.Stored) *witness.Acceptance {
	if e.Type != typeRaised || e.Outcome != audit.Allowed {
		return nil
	}
	n, _ := strconv.ParseInt(e.Detail["epoch"], 10, 64) // what is no number is no epoch of ours
	read, _ := witness.ParseMark(e.Detail["export"])    // earlier releases noted none
	return &witness.Acceptance{Writer: e.Writer, Seq: e.Seq, Epoch: n, At: e.At, Knew: e.Detail["unknown"] == nothingUnknown, Read: read}
}

// Tell is a witness.Tell. Errors: those of audit.Decode.
func Tell(r chain.Record) (time.Time, *witness.Acceptance, error) {
	e, err := audit.Decode(r.Writer, r.Seq, r.Body)
	return e.At, Acceptance(e), err
}
