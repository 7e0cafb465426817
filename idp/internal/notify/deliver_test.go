package notify_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/seal"
	"ellis.example/idp/internal/unit"
)

// outbox is an outbox in memory, with the conditions that the writes document.
type outbox struct {
	mu     sync.Mutex
	items  map[string]*row
	events []audit.Event
}

type row struct {
	notify.Item
	due        time.Time
	sent, gone bool
}

func (o *outbox) Commit(_ context.Context, u unit.Unit) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range u.Writes {
		switch w := w.(type) {
		case notify.Queue:
			o.items[w.ID] = &row{Item: notify.Item{ID: w.ID, Account: w.Account, Template: w.Template, Sealed: w.Sealed, ExpiresAt: w.ExpiresAt}, due: w.At}
		case notify.Claim:
			r := o.items[w.ID]
			if r.sent || r.gone || r.due.After(w.At) {
				return &unit.Conflict{Write: w, Why: "somebody has it"}
			}
			r.due = w.Until
			r.Attempts++
		case notify.Sent:
			o.items[w.ID].sent = true
		case notify.Defer:
			o.items[w.ID].due = w.Due
		case notify.Drop:
			o.items[w.ID].gone = true
		default:
			return fmt.Errorf("a write %T", w)
		}
	}
	if e, ok := u.Event.(audit.Event); ok {
		o.events = append(o.events, e)
	}
	return nil
}

func (o *outbox) DueMail(_ context.Context, now time.Time, _ int64, limit int) (out []notify.Item, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.items {
		if !r.sent && !r.gone && !r.due.After(now) && len(out) < limit {
			out = append(out, r.Item)
		}
	}
	return out, nil
}

// relay is an SMTP server that counts what it takes; refuse makes it answer every recipient with that line.
type relay struct {
	addr   string
	taken  atomic.Int64
	refuse atomic.Value
	curt   atomic.Bool  // it hangs up once it has taken a mail
	id     atomic.Value // Message-ID of the mail that it took last
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String()}
	r.refuse.Store("")
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *relay) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	say := func(s string) { _, _ = c.Write([]byte(s + "\r\n")) }
	say("220 relay")
	data := false
	for in.Scan() {
		line := in.Text()
		switch {
		case data:
			if line == "." {
				data = false
				r.taken.Add(1)
				say("250 ok")
				if r.curt.Load() {
					return
				}
			} else if id, ok := strings.CutPrefix(line, "Message-ID: "); ok {
				r.id.Store(id)
			}
		case strings.HasPrefix(line, "RCPT") && r.refuse.Load() != "":
			s, _ := r.refuse.Load().(string)
			say(s)
		case line == "DATA":
			data = true
			say("354 go on")
		case line == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

type post struct {
	*notify.Deliverer
	box  *outbox
	clk  *clock.Fake
	seal *seal.Sealer
	seen []string // outcomes
}

func newPost(t *testing.T, addr string) *post {
	t.Helper()
	s, err := seal.New(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	r, err := notify.NewRelay("smtp://"+addr, "Ellis <no-reply@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{box: &outbox{items: map[string]*row{}}, clk: clock.NewFake(time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)), seal: s}
	p.Deliverer = (&notify.Deliverer{Store: p.box, Commit: p.box, Seal: s, Relay: r, Clock: p.clk, Log: slog.New(slog.DiscardHandler), Observe: func(o string) { p.seen = append(p.seen, o) }}).Init()
	return p
}

// queue puts a mail into the outbox and returns its row.
func (p *post) queue(t *testing.T, worthFor time.Duration) *row {
	t.Helper()
	q, err := notify.Compose(p.seal, notify.Message{Account: "acc_1", Template: "password_changed", To: "ana@example.org", Lang: "en", Subject: "A subject", Text: "A secret text", HTML: "<p>A secret text</p>"}, p.clk.Now(), worthFor)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(q.Sealed, []byte("secret")) {
		t.Error("the text lies open in the outbox")
	}
	if err := p.box.Commit(t.Context(), unit.Unit{Writes: []unit.Write{q}}); err != nil {
		t.Fatal(err)
	}
	return p.box.items[q.ID]
}

func (p *post) once(t *testing.T, want int) {
	t.Helper()
	if n, err := p.Once(t.Context()); err != nil || n != want {
		t.Fatalf("tried %d, want %d: %v", n, want, err)
	}
}

func TestDeliver_SendsOnceAndSaysSo(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := newPost(t, r.addr)
	m := p.queue(t, time.Hour)
	p.once(t, 1)
	p.once(t, 0)
	if !m.sent || r.taken.Load() != 1 || !slices.Equal(p.seen, []string{"sent"}) {
		t.Errorf("sent %v, taken %d, %v", m.sent, r.taken.Load(), p.seen)
	}
	e := p.box.events[0]
	if len(p.box.events) != 1 || e.Type != "mail.sent" || e.Account != "acc_1" || e.Actor != "system" || e.Detail["template"] != "password_changed" || e.Detail["mail"] != m.ID {
		t.Errorf("%+v", p.box.events)
	}
}

// A relay that refuses is asked again, later each time, up to a quarter of an hour; then the mail is given up.
func TestDeliver_WaitsLongerAfterEachFailureAndGivesUp(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	r.refuse.Store("450 not now")
	p := newPost(t, r.addr)
	m := p.queue(t, 48*time.Hour)
	var waits []time.Duration
	for range 12 {
		p.once(t, 1)
		waits = append(waits, m.due.Sub(p.clk.Now()))
		p.once(t, 0)
		p.clk.Advance(m.due.Sub(p.clk.Now()))
	}
	want := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 640 * time.Second, 900 * time.Second, 900 * time.Second, 900 * time.Second, 900 * time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v", waits)
	}
	r.refuse.Store("")
	p.clk.Advance(48 * time.Hour)
	p.once(t, 1)
	if e := p.box.events; !m.gone || r.taken.Load() != 0 || len(e) != 1 || e[0].Type != "mail.dropped" || e[0].Reason != "expired" || e[0].Outcome != audit.Failed {
		t.Errorf("gone %v, taken %d, %+v", m.gone, r.taken.Load(), e)
	}
}

func TestDeliver_TellsWhetherTheRelayIsThere(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	r.refuse.Store("450 not now")
	p := newPost(t, r.addr)
	there := p.Relay
	nobody, err := notify.NewRelay("smtp://127.0.0.1:1", "Ellis <no-reply@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		relay *notify.Relay
		away  bool
	}{{there, false}, {nobody, true}, {there, false}} {
		p.Relay = step.relay
		m := p.queue(t, time.Hour)
		p.once(t, 1)
		p.box.items[m.ID].gone = true
		if p.RelayAway() != step.away {
			t.Errorf("away: %v, want %v", p.RelayAway(), step.away)
		}
	}
	p.Relay = nobody
	p.queue(t, time.Hour)
	p.once(t, 1)
	over, end := context.WithCancel(t.Context())
	end()
	if p.Run(over); p.RelayAway() {
		t.Error("who sends no more still misses the relay")
	}
}

// A mail whose text cannot be opened is given up, and does not keep others from going out.
func TestDeliver_AnUnreadableMailStopsNobody(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := newPost(t, r.addr)
	bad, moved, good := p.queue(t, time.Hour), p.queue(t, time.Hour), p.queue(t, time.Hour)
	bad.Sealed[len(bad.Sealed)-1] ^= 1
	moved.Sealed = good.Sealed // the text of one mail is no text of another
	p.once(t, 3)
	if !bad.gone || !moved.gone || !good.sent || r.taken.Load() != 1 {
		t.Errorf("bad %v, moved %v, good %v, taken %d", bad.gone, moved.gone, good.sent, r.taken.Load())
	}
}

// Of many processes that see a mail, one sends it.
func TestDeliver_OneOfManyProcessesSends(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	first := newPost(t, r.addr)
	for range 20 {
		first.queue(t, time.Hour)
	}
	var wg sync.WaitGroup
	for range 4 {
		p := newPost(t, r.addr)
		p.Store, p.Commit = first.box, first.box
		wg.Go(func() {
			if _, err := p.Once(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.taken.Load(); n != 20 {
		t.Errorf("%d mails arrived, want 20", n)
	}
}

func TestRun_SendsWhenItIsWokenAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := newPost(t, r.addr)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		p.Run(ctx)
		close(ended)
	}()
	for range 3 {
		p.queue(t, time.Hour)
		p.Wake()
		p.Wake() // never waits
	}
	deadline := time.After(10 * time.Second)
	for r.taken.Load() < 3 {
		select {
		case <-deadline:
			t.Fatalf("%d mails arrived, want 3", r.taken.Load())
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	<-ended
}

// A mail that the relay has taken is sent, whatever becomes of the connection then: who counted that as a failure would send it
// again and again.
func TestDeliver_SendsOnceWhereTheRelayHangsUp(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	r.curt.Store(true)
	p := newPost(t, r.addr)
	m := p.queue(t, time.Hour)
	p.once(t, 1)
	p.clk.Advance(30 * time.Minute)
	p.once(t, 0)
	if !m.sent || r.taken.Load() != 1 || p.RelayAway() {
		t.Errorf("sent %v, taken %d, away %v, %v", m.sent, r.taken.Load(), p.RelayAway(), p.seen)
	}
}

// The Message-ID is the same at every try and at every replica, and tells the recipient nothing of the relay.
func TestDeliver_NamesTheMailByItsSender(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := newPost(t, r.addr)
	m := p.queue(t, time.Hour)
	p.once(t, 1)
	if id, _ := r.id.Load().(string); id != "<"+m.ID+"@example.org>" {
		t.Errorf("Message-ID %q", id)
	}
}
