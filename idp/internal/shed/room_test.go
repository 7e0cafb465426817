package shed_test

import (
	"net/http"
	"testing"

	"ellis.example/idp/internal/shed"
)

func TestConnections_WhoWaitedLongestMakesRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 16})
	held := w.dial("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	<-w.entered
	var idle []*client
	for i := range 15 {
		before, turns := w.conns.Turns(), int64(1)
		c := w.dial(map[bool]string{true: get, false: "GET / HT"}[i%2 == 0])
		if i%2 == 0 {
			turns = 4 // its header, its body, its answer, its next request
			if status, _ := c.answer(); status != http.StatusOK {
				t.Fatal(status)
			}
		}
		idle = append(idle, c)
		w.until("it waits", func() bool { return w.conns.Turns() >= before+turns })
	}
	fresh := w.dial(get)
	if status, body := fresh.answer(); status != http.StatusOK {
		t.Errorf("the one more: %d %s", status, body)
	}
	gone := 0
	for i, c := range idle {
		if !c.there() {
			if gone++; i > 1 {
				t.Errorf("number %d has made room, and older ones had not", i)
			}
		}
	}
	if gone == 0 || w.counts()[shed.CountRoom] != gone {
		t.Errorf("%d are gone, %v", gone, w.counts())
	}
	for range 100 {
		if status, body := w.dial(get).answer(); status != http.StatusOK {
			t.Fatalf("in a flood: %d %s", status, body)
		}
	}
	if n := w.conns.Open(); n > 16 {
		t.Errorf("%d are open", n)
	}
	close(w.release)
	if status, body := held.answer(); status != http.StatusOK {
		t.Errorf("the request that was worked on: %d %s", status, body)
	}
}

// Whoever was answered before keeps its connection while a crowd comes again and again that asks for nothing whole, or for nothing.
func TestConnections_ACrowdThatWasNeverAnsweredMakesRoomForItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 32})
	var known []*client
	for range 8 {
		c := w.dial(get)
		if status, _ := c.answer(); status != http.StatusOK {
			t.Fatal(status)
		}
		known = append(known, c)
	}
	for i := range 200 {
		turns := w.conns.Turns()
		w.dial([]string{"", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nb"}[i%3])
		w.until("it is taken in", func() bool { return w.conns.Turns() > turns })
		if i%10 == 0 {
			c := w.dial(get)
			if status, body := c.answer(); status != http.StatusOK {
				t.Fatalf("one who is new: %d %s", status, body)
			}
			_ = c.Close()
		}
	}
	for i, c := range known {
		c.send(get)
		if status, body := c.answer(); status != http.StatusOK {
			t.Errorf("number %d of those who were there before: %d %s", i, status, body)
		}
	}
	if w.counts()[shed.CountRoom] < 150 {
		t.Errorf("there was no crowd: %v", w.counts())
	}
}

// Those who were answered leave half of the room to others, and the one that has waited longest goes first.
func TestConnections_WhoWasAnsweredLeavesRoomForWhoComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 16})
	var known []*client
	for range 40 {
		turns := w.conns.Turns()
		c := w.dial(get)
		if status, body := c.answer(); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		known = append(known, c)
		w.until("it waits", func() bool { return w.conns.Turns() >= turns+4 })
	}
	for range 16 {
		turns := w.conns.Turns()
		w.dial("GET / HT")
		w.until("it is taken in", func() bool { return w.conns.Turns() > turns })
	}
	there := 0
	for i, c := range known {
		if c.there() {
			if there++; i < 32 {
				t.Errorf("number %d is there, and younger ones are not", i)
			}
		}
	}
	if there < 6 || there > 8 {
		t.Errorf("of those who were answered, %d are left", there)
	}
}

// A header that has arrived is a step: who takes it waits anew.
func TestConnections_WhoseHeaderHasArrivedWaitsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shed.Limits{Connections: 4})
	first := w.dial("")
	w.until("it is taken in", func() bool { return w.conns.Open() == 1 })
	second := w.dial("")
	w.until("it is taken in", func() bool { return w.conns.Open() == 2 })
	first.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
	w.until("its body is waited for", func() bool { return w.asked.Load() == 1 })
	for i := range 3 {
		w.dial("")
		w.until("it is taken in", func() bool { return w.conns.Turns() == int64(i+4) })
	}
	if second.there() || !first.there() {
		t.Errorf("dropped: %v", w.counts())
	}
	first.send("b")
	if status, body := first.answer(); status != http.StatusOK || body != "2 bytes" {
		t.Errorf("%d %s", status, body)
	}
}
