package shed

import "net/http"

// Answer is the answer to one request. It remembers the status, and that the request has a place. It is used by one goroutine.
type Answer struct {
	http.ResponseWriter
	Status int // 0: nothing was said yet

	places *Places // of one of which it was given; nil: of none
	taken  bool    // it is there now
	conn   *conn   // that is kept; nil: it is not counted, or it is its client's turn
	body   *body
}

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	if a.Status == 0 {
		a.Status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter. The place is given back before: what does not fit into a buffer waits for the client,
// and answers are rendered whole before the first byte of them is written.
func (a *Answer) Write(b []byte) (int, error) {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	a.Leave()
	return a.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Leave gives the place back. From now on it is the client's turn: a connection on which nobody takes the answer may be
// dropped. What its request holds counts until then, or until the answer is taken. Without a place it does nothing.
func (a *Answer) Leave() {
	a.away()
	if k := a.conn; k != nil {
		a.conn = nil
		k.wait()
	}
}

// Pause gives the place to others for as long as the request only waits for something to happen. Its connection is kept, and
// what it sent is not: who waits long holds nothing. Its body has to be read before.
func (a *Answer) Pause() {
	a.away()
	if a.body != nil {
		a.body.drop()
	}
	if a.conn != nil {
		a.conn.release()
	}
}

// Resume takes a place again, also where there is none: how many wait for the same is bounded by what they wait for.
func (a *Answer) Resume() {
	if a.places != nil && !a.taken {
		a.taken = true
		a.places.n.Add(1)
	}
}

// away gives the place back.
func (a *Answer) away() {
	if a.taken {
		a.taken = false
		a.places.n.Add(-1)
	}
}
