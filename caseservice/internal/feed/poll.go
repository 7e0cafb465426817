package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"ellis.example/caseservice/internal/issuer"
	"ellis.example/caseservice/internal/strictjson"
)

const (
	maxEvents = 100                              // asked for at once
	maxAnswer = maxEvents*issuer.MaxJWS + 64<<10 // bytes of an answer
	maxCursor = 1024
)

var (
	// errRefused: an answer came, and something in it is not as it has to be.
	errRefused = errors.New("the answer was refused")
	// errCursor: the issuer does not know where we were.
	errCursor = errors.New("the issuer does not know the cursor: it begins anew")
)

// question is what is sent (RFC 8936 §2.2), with the cursor as an extension: each replica of this API follows by itself.
type question struct {
	MaxEvents         int      `json:"maxEvents"`
	ReturnImmediately bool     `json:"returnImmediately"`
	Ack               []string `json:"ack"`
	After             string   `json:"after"`
}

// news is an answer.
type news struct {
	events map[string]event // that were verified, by the jti of their SET
	bad    map[string]error // SETs that are not as they have to be, and why
	more   bool
	cursor string
	asOf   time.Time // everything that the issuer had said by then is in this answer or in one before
}

// poll asks once. Errors: errCursor, errRefused, and whatever keeps the issuer from answering; with the last, what was
// verified before is in the news.
func (f *Feed) poll(ctx context.Context, q question) (news, error) {
	at, err := f.issuer.Endpoints(ctx)
	if err != nil {
		return news{}, err
	}
	if at.Events == "" {
		return news{}, errors.New("the issuer's metadata names no ellis_events_endpoint")
	}
	body, err := json.Marshal(q)
	if err != nil {
		return news{}, err
	}
	asked := f.clock.Now()
	text, status, err := f.post(ctx, f.polls, at.Events, jsonType, bytes.NewReader(body), maxAnswer)
	came := f.clock.Now()
	if status == http.StatusBadRequest && q.After != "" && saysInvalid(text) {
		return news{}, errCursor
	}
	if err != nil {
		return news{}, err
	}
	n, held, err := f.understand(ctx, text)
	// Not from its arrival on: an answer that was long on its way is old. The issuer says how long it held the poll, and none
	// can have held it for longer than we waited.
	n.asOf = asked.Add(max(0, min(held, came.Sub(asked))))
	return n, err
}

// saysInvalid reports whether a poll was refused for what was sent (RFC 8936 §2.3): it can only be the cursor.
func saysInvalid(text []byte) bool {
	said, err := strictjson.Object(text)
	if err != nil {
		return false
	}
	code, err := issuer.String(said, "err")
	return err == nil && code == "invalid_request"
}

// understand reads an answer, and verifies each SET in it by itself. held is how long the issuer says that it held the poll.
func (f *Feed) understand(ctx context.Context, text []byte) (n news, held time.Duration, err error) {
	said, err := strictjson.Object(text)
	if err != nil {
		return n, 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	sets, err := strictjson.Object(said["sets"])
	if err != nil || len(sets) > maxEvents {
		return n, 0, fmt.Errorf("%w: sets is no object of at most %d", errRefused, maxEvents)
	}
	n.cursor, err = issuer.Visible(said, "cursor", maxCursor)
	if err != nil || n.cursor == "" {
		return n, 0, fmt.Errorf("%w: there is no cursor", errRefused)
	}
	switch string(said["moreAvailable"]) {
	case "true":
		n.more = true
	case "false", "": // RFC 8936 §2.3: absent means no
	default:
		return n, 0, fmt.Errorf("%w: moreAvailable", errRefused)
	}
	if held, err = heldOf(said); err != nil {
		return n, 0, err
	}
	return n, held, f.verifyAll(ctx, sets, &n)
}

// heldOf reads how long a poll was held: milliseconds, and none where an issuer does not say.
func heldOf(said map[string]json.RawMessage) (time.Duration, error) {
	ms, _, err := issuer.Seconds(said, "held") // a whole number, too
	if err != nil {
		return 0, fmt.Errorf("%w: held", errRefused)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// verifyAll sorts the SETs of an answer. Errors: what keeps the issuer from telling its keys.
func (f *Feed) verifyAll(ctx context.Context, sets map[string]json.RawMessage, n *news) error {
	n.events, n.bad = make(map[string]event, len(sets)), map[string]error{}
	for jti := range sets {
		e, err := f.verify(ctx, sets, jti)
		switch {
		case err == nil:
			n.events[jti] = e
		case errors.Is(err, errRefused):
			n.bad[jti] = err
		default:
			return err
		}
	}
	return nil
}

// verify reads one SET and verifies its signature under a key of the issuer that was not revoked itself.
func (f *Feed) verify(ctx context.Context, sets map[string]json.RawMessage, jti string) (event, error) {
	text, err := issuer.String(sets, jti)
	if err != nil {
		return event{}, bad(jti, err)
	}
	jws, e, err := f.read(text, jti)
	if err != nil {
		return e, bad(jti, err)
	}
	k, err := f.issuer.FindNamed(ctx, jws.KID)
	switch {
	case err != nil:
		return e, err
	case k == nil || f.revoked.has(keys, jws.KID, 0):
		return e, bad(jti, errors.New("the issuer has no such key"))
	}
	if err := jws.Verify(k); err != nil {
		return e, bad(jti, err)
	}
	return e, nil
}

// post sends something under our name and returns the answer, and an error unless its status is 200 and it is JSON.
func (f *Feed) post(ctx context.Context, client *http.Client, where, kind string, body io.Reader, limit int64) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, body)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", jsonType)
	req.SetBasicAuth(url.QueryEscape(f.clientID), url.QueryEscape(f.secret)) // RFC 6749 §2.3.1
	res, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, 0, err
	case int64(len(text)) > limit:
		return nil, 0, fmt.Errorf("%s answered more than %d bytes", where, limit)
	case res.StatusCode != http.StatusOK:
		return text, res.StatusCode, fmt.Errorf("%s answered %d", where, res.StatusCode)
	}
	if got, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || got != jsonType {
		return nil, res.StatusCode, fmt.Errorf("%s answered %.64q, not JSON", where, got)
	}
	return text, res.StatusCode, nil
}
