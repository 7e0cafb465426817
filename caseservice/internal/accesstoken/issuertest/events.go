package issuertest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The client that stands for the API's server.
const (
	ClientID     = "case-api"
	ClientSecret = "a secret: of + case/api"
)

// The types of events.
const (
	SessionRevoked  = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	GrantRevoked    = "urn:ellis:events:grant-revoked"
	TokenRevoked    = "urn:ellis:events:token-revoked"
	AccountDisabled = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	KeyRevoked      = "urn:ellis:events:key-revoked"
	EpochRaised     = "urn:ellis:events:epoch-raised"
)

// published is an event of the feed. It is signed when it is handed out.
type published struct {
	jti  string
	text func() string
}

// feed is the issuer's half of RFC 8936, and of RFC 7662.
type feed struct {
	events     []published
	wake       chan struct{} // closed by the next event
	generation int
	hold       time.Duration
	none       bool
	inactive   map[string]bool // by jti
	polls      int
	asked      int
	fault      func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func newFeed() feed {
	return feed{wake: make(chan struct{}), hold: 2 * time.Second, inactive: map[string]bool{}}
}

// Revoke puts an event into the feed.
func (i *Issuer) Revoke(kind, id string) { i.Publish(i.Event(kind, id)) }

// Event returns the claims of an event that happens now.
func (i *Issuer) Event(kind, id string) Claims {
	now := i.Clock.Now()
	return Claims{
		"iss": i.URL, "aud": Audience, "jti": "set-" + rand.Text(), "iat": now.Unix(), "toe": float64(now.UnixMilli()) / 1000,
		"sub_id": map[string]any{"format": "opaque", "id": id},
		"events": map[string]any{kind: map[string]any{"event_timestamp": now.Unix()}},
	}
}

// Publish puts a SET with these claims into the feed.
func (i *Issuer) Publish(c Claims) {
	i.PublishText(fmt.Sprint(c["jti"]), func() string { return i.SignEvent(c) })
}

// PublishText puts any text into the feed, under a name.
func (i *Issuer) PublishText(jti string, text func() string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.events = append(i.feed.events, published{jti, text})
	i.ring()
}

// ring ends every poll that waits.
func (i *Issuer) ring() {
	close(i.feed.wake)
	i.feed.wake = make(chan struct{})
}

// SignEvent makes a SET.
func (i *Issuer) SignEvent(c Claims) string {
	k := i.Key()
	return Sign(k.Key, map[string]any{"typ": "secevent+jwt", "alg": k.Algorithm, "kid": k.KeyID}, c)
}

// Deactivate makes introspection call the token with this jti inactive.
func (i *Issuer) Deactivate(jti any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.inactive[fmt.Sprint(jti)] = true
}

// Fault makes f answer requests to the feed and to introspection, when it says that it has. Nil ends that. Polls that wait
// end at once.
func (i *Issuer) Fault(f func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.fault = f
	i.ring()
}

// ForgetCursors makes every cursor unknown, and the events gone.
func (i *Issuer) ForgetCursors() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.generation++
	i.feed.events = nil
	i.ring()
}

// Hold sets how long a poll waits; two seconds at first.
func (i *Issuer) Hold(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.hold = d
	i.ring()
}

// WithoutFeed takes the feed out of the metadata, or puts it back.
func (i *Issuer) WithoutFeed(none bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.feed.none = none
}

// Polls returns how often the feed was asked, Asked how often introspection was.
func (i *Issuer) Polls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.feed.polls
}

// Asked returns how often introspection was asked.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.feed.asked
}

// known reports whether the request is our API's.
func known(w http.ResponseWriter, r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	if ok && id == ClientID && secret == "a+secret%3A+of+%2B+case%2Fapi" {
		return true
	}
	answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	return false
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// faulty lets a test answer.
func (i *Issuer) faulty(w http.ResponseWriter, r *http.Request) bool {
	i.mu.Lock()
	f := i.feed.fault
	i.mu.Unlock()
	return f != nil && f(w, r)
}

// question is a poll (RFC 8936 §2.2) with our cursor.
type question struct {
	MaxEvents         int
	ReturnImmediately bool
	Ack               []string
	After             string
}

// from returns where a question goes on, among so many events.
func (q question) from(generation, events int) (n int, ok bool) {
	if q.After == "" {
		return 0, true
	}
	g := 0
	_, err := fmt.Sscanf(q.After, "g%d-%d", &g, &n)
	return n, err == nil && g == generation && n <= events
}

// servePoll answers a poll (RFC 8936 §2).
func (i *Issuer) servePoll(w http.ResponseWriter, r *http.Request) {
	if i.faulty(w, r) || !known(w, r) {
		return
	}
	var q question
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.MaxEvents < 1 || q.Ack == nil {
		answer(w, http.StatusBadRequest, map[string]string{"err": "invalid_request", "description": "not a poll"})
		return
	}
	i.mu.Lock()
	i.feed.polls++
	deadline, began := time.After(i.feed.hold), time.Now()
	i.mu.Unlock()
	for {
		i.mu.Lock()
		wake, generation, all := i.feed.wake, i.feed.generation, i.feed.events
		i.mu.Unlock()
		n, ok := q.from(generation, len(all))
		if !ok {
			answer(w, http.StatusBadRequest, map[string]string{"err": "invalid_request", "description": "unknown cursor"})
			return
		}
		if !q.ReturnImmediately && n == len(all) {
			select {
			case <-wake:
				if i.faulty(w, r) {
					return
				}
				continue
			case <-r.Context().Done():
				return
			case <-deadline:
			}
		}
		handOut(w, all[n:min(len(all), n+q.MaxEvents)], page{n, len(all), generation, time.Since(began)})
		return
	}
}

// page says of which events some are handed out: from number n of so many, in a generation, after the poll was held.
type page struct {
	n, all, generation int
	held               time.Duration
}

func handOut(w http.ResponseWriter, events []published, p page) {
	sets := map[string]string{}
	for _, e := range events {
		sets[e.jti] = e.text()
	}
	end := p.n + len(events)
	answer(w, http.StatusOK, map[string]any{
		"sets": sets, "moreAvailable": end < p.all, "cursor": fmt.Sprintf("g%d-%d", p.generation, end), "held": p.held.Milliseconds(),
	})
}

// serveIntrospection tells whether a token is active (RFC 7662): here every token is, that was not deactivated.
func (i *Issuer) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	if i.faulty(w, r) || !known(w, r) {
		return
	}
	var c struct{ JTI string }
	_ = json.Unmarshal(payloadOf(r.PostFormValue("token")), &c)
	i.mu.Lock()
	i.feed.asked++
	active := c.JTI != "" && !i.feed.inactive[c.JTI]
	i.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"active": active, "jti": c.JTI})
}
