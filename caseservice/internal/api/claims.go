package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"ellis.example/caseservice/internal/cases"
	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/ident"
	"ellis.example/caseservice/internal/ledger"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/strictjson"
	"ellis.example/caseservice/internal/unit"
	"ellis.example/caseservice/internal/web"
)

// The public faults of claiming.
var (
	// errClaim is the one answer to a wrong receipt number, a wrong, used or expired code, and another's case.
	errClaim      = fault.New(fault.Invalid, "claim_not_accepted", "no open case goes with this receipt number and this code")
	errNoKey      = fault.New(fault.Invalid, "idempotency_key_required", "send an Idempotency-Key header with a fresh random value").At(keyHeader)
	errKeyReused  = fault.New(fault.Invalid, "idempotency_key_reused", "this Idempotency-Key came with another body before: take a fresh one").At(keyHeader)
	errInProgress = fault.New(fault.Conflict, "request_in_progress", "the first call with this Idempotency-Key has not ended yet").After(time.Second)
	errTooMany    = fault.New(fault.TooMany, "too_many_tries", "this person has used up the tries of a day")
	errSlowDown   = fault.New(fault.TooMany, "slow_down", "there were several tries for this receipt number: wait a little")
	errTooLarge   = fault.New(fault.TooLarge, "body_too_large", "a claim has at most 4 KiB")
	errMedia      = fault.New(fault.Invalid, "unsupported_media_type", "send application/json in UTF-8, without a content encoding")
)

const (
	keyHeader = "Idempotency-Key"
	minKey    = 8
	maxKey    = 128
	maxBody   = 4 << 10
)

// claimInput is a claim as it was asked for, in canonical form.
type claimInput struct {
	key     cases.Key
	request []byte // MAC of receipt and code: tells whether a repeat is one
	receipt paper.Receipt
	code    paper.ClaimCode
}

// claim answers POST /v1/claims. A try is counted in a commit of its own before the code is looked at, so that parallel
// guesses are counted exactly; code, owner, the key's outcome and the entry then stand or fall together.
func (c *call) claim() (reply, error) {
	in, err := c.claimInput()
	if err != nil {
		return reply{}, err
	}
	if out, ok, err := c.earlier(in); err != nil || ok {
		return c.repeat(out, err)
	}
	f, ok, err := c.api.cases.FileByReceipt(c.r.Context(), c.caller.Sub, in.receipt)
	if err != nil {
		return reply{}, storeFault(err)
	}
	if ok {
		c.known = f.ID
	}
	if m := cases.Can(c.now, c.caller, c.act, cases.Target{Exists: ok, Relationship: f.Relationship}); m != cases.Nothing {
		return reply{}, c.refuse(m)
	}
	if err := c.spendTry(in); err != nil {
		if _, taken := unit.ConflictIn[cases.OpenKey](err); !taken {
			return reply{}, err
		}
		out, ok, err := c.earlier(in) // somebody opened the key since we looked
		if err == nil && !ok {
			err = errInProgress
		}
		return c.repeat(out, err)
	}
	return c.redeem(in)
}

// earlier returns how a call with this key ended before, if one did. Errors: errKeyReused, errInProgress, errStore.
func (c *call) earlier(in claimInput) (out cases.Outcome, ok bool, err error) {
	was, ok, err := c.api.claims.Key(c.r.Context(), in.key, c.now)
	switch {
	case err != nil:
		return out, false, storeFault(err)
	case !ok:
		return out, false, nil
	case !bytes.Equal(was.Request, in.request):
		return out, false, errKeyReused
	case !was.Done && c.now.Sub(was.At) < cases.KeyPatience:
		return out, false, errInProgress
	}
	return was.Outcome, was.Done, nil // one that never ended is taken over
}

// repeat answers as the first call with the key did.
func (c *call) repeat(out cases.Outcome, err error) (reply, error) {
	switch {
	case err != nil:
		return reply{}, err
	case out.CaseID == "":
		return reply{}, errClaim
	}
	return c.claimed(out.CaseID)
}

// spendTry counts the try and opens the key. Errors: a conflict in OpenKey, errTooMany, errSlowDown, errStore.
func (c *call) spendTry(in claimInput) error {
	mac := paper.ReceiptMAC(c.api.codeKey, in.receipt)
	err := storeFault(c.api.commit.Commit(c.r.Context(), unit.Unit{Writes: []unit.Write{
		cases.OpenKey{Key: in.key, Request: in.request, At: c.now},
		cases.CountTry{Sub: c.caller.Sub, ReceiptMAC: mac, At: c.now},
	}}))
	if _, spent := unit.ConflictIn[cases.CountTry](err); !spent {
		return err
	}
	person, receipt, err := c.api.claims.Waits(c.r.Context(), c.caller.Sub, mac, c.now)
	switch {
	case err != nil:
		return storeFault(err)
	case person > 0:
		return errTooMany.After(person)
	}
	return errSlowDown.After(receipt)
}

// redeem tries the code. An unknown receipt number walks the same way as a wrong code, commit for commit.
func (c *call) redeem(in claimInput) (reply, error) {
	end := cases.CloseKey{Key: in.key, At: c.now, Outcome: cases.Outcome{CaseID: c.known}}
	err := c.record(ledger.Allowed, "", cases.Redeem{
		CaseID: c.known, CodeMAC: paper.CodeMAC(c.api.codeKey, in.receipt, in.code), ReceiptMAC: paper.ReceiptMAC(c.api.codeKey, in.receipt),
		Sub: c.caller.Sub, At: c.now, Event: ident.New("evt"),
	}, end)
	if err == nil {
		return c.claimed(c.known)
	}
	if _, refused := unit.ConflictIn[cases.Redeem](err); refused {
		end.Outcome = cases.Outcome{Fault: errClaim.Code}
		if err = c.record(ledger.Refused, errClaim.Code, end); err == nil {
			err = errClaim
		}
	}
	if unit.IsConflict(err) { // we were slower than KeyPatience, and the repeat took over
		err = errInProgress
	}
	return reply{}, err
}

// claimed renders the case that is the caller's now.
func (c *call) claimed(id string) (reply, error) {
	f, ok, err := c.read(c.r.Context(), id)
	if err != nil {
		return reply{}, err
	}
	if !ok || f.Relationship != cases.Owner {
		return reply{}, errClaim
	}
	b, err := c.api.words.appendCase(append(make([]byte, 0, caseSize), `{"case":`...), &f, c.now)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, body: append(b, '}'), location: c.api.base + "/v1/cases/" + f.ID}, nil
}

// claimInput reads the request. Its errors cost no try and are not remembered under the key.
func (c *call) claimInput() (in claimInput, err error) {
	key, err := idempotencyKey(c.r.Header[keyHeader])
	if err != nil {
		return in, err
	}
	body, err := c.body()
	if err != nil {
		return in, err
	}
	if in.receipt, in.code, err = parseClaim(body); err != nil {
		return in, err
	}
	in.key = cases.Key{Sub: c.caller.Sub, Hash: ident.Hash(key)}
	in.request = c.api.seals.sum("claim request", string(in.receipt), string(in.code))
	return in, nil
}

func idempotencyKey(lines []string) (string, error) {
	if len(lines) == 0 {
		return "", errNoKey
	}
	key := lines[0]
	visible := !strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e })
	if len(lines) > 1 || !visible || len(key) < minKey || len(key) > maxKey {
		return "", invalid(keyHeader, "key_format", "one value of 8 to 128 printable ASCII characters")
	}
	return key, nil
}

// body reads the whole body. Errors: errMedia, errTooLarge, errInvalid.
func (c *call) body() ([]byte, error) {
	h := c.r.Header
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") || len(h["Content-Type"]) > 1 || len(h["Content-Encoding"]) > 0 {
		return nil, errMedia
	}
	if c.r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	text, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, errTooLarge
	case err != nil:
		return nil, invalid("", "body_incomplete", "the body ended too early")
	}
	return bytes.TrimSpace(text), nil
}

// parseClaim reads the members of a claim. All that is wrong is said at once.
func parseClaim(text []byte) (receipt paper.Receipt, code paper.ClaimCode, err error) {
	members, err := strictjson.Object(text)
	if err != nil {
		return "", "", invalid("", "body_format", "the body has to be one JSON object: "+err.Error())
	}
	var wrong []web.FieldProblem
	note := func(name string, err error) {
		if err != nil {
			f := fault.Of(err)
			wrong = append(wrong, web.FieldProblem{Pointer: "/" + name, Code: f.Code, Detail: f.Message})
		}
	}
	receipt, err = parseMember(members, "receipt", paper.ParseReceipt)
	note("receipt", err)
	code, err = parseMember(members, "code", paper.ParseClaimCode)
	note("code", err)
	for name := range members {
		if name != "receipt" && name != "code" {
			note(pointerText.Replace(name), errUnknownMember)
			break // one is enough
		}
	}
	if wrong != nil {
		return "", "", &web.Fields{Fault: errInvalid, All: wrong}
	}
	return receipt, code, nil
}

var (
	errUnknownMember = fault.New(fault.Invalid, "unknown_member", "a claim has the members receipt and code")
	errNoText        = fault.New(fault.Invalid, "text_required", "this member has to be there, as a text")
	pointerText      = strings.NewReplacer("~", "~0", "/", "~1") // RFC 6901 §3
)

// parseMember parses a member that has to be a text.
func parseMember[T ~string](m map[string]json.RawMessage, name string, parse func(string) (T, error)) (T, error) {
	var s string
	if raw := m[name]; len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", errNoText
	}
	return parse(s)
}
