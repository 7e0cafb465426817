package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/fault"
	"ellis.example/caseservice/internal/paper"
	"ellis.example/caseservice/internal/portal/caseapi"
	"ellis.example/caseservice/internal/signin"
	"ellis.example/caseservice/internal/ui"
	"ellis.example/caseservice/internal/web"
)

// claimForm asks for receipt number and code. What was typed before and not sent yet is still there.
func (p *Portal) claimForm(w http.ResponseWriter, r *http.Request, v signin.Visit) error {
	page := ui.Claim{Base: p.ownBase(w, r, purposeClaim, v)}
	if v.Claim != nil {
		page.Receipt, page.Code = ui.Receipt(v.Claim.Receipt), ui.Code(v.Claim.Code)
		if r.URL.Query().Has("stopped") {
			page.Errors = []ui.FieldError{ui.Wrong("", ui.ErrStepUpStopped)}
		}
	}
	page.Here = "/claim"
	return p.show(w, r, http.StatusOK, page)
}

// claim reads the form and sends it. A session that ended meanwhile is no reason to lose what was typed: the form's token
// still proves where it came from, and the sign-in takes it along.
func (p *Portal) claim(w http.ResponseWriter, r *http.Request) error {
	form, formErr := p.form(r, purposeClaim)
	if formErr != nil && !errors.Is(formErr, errFormExpired) {
		return formErr
	}
	v, err := p.Gate.Current(r)
	if err != nil && !errors.Is(err, signin.ErrSessionEnded) || err != nil && formErr != nil {
		return err
	}
	typed := typedClaim(form)
	if formErr != nil {
		return p.showClaim(w, r, v, typed, http.StatusForbidden, ui.Wrong("", ui.ErrFormExpired))
	}
	c, wrong := readClaim(typed)
	switch {
	case err != nil:
		return p.takeAlong(w, r, v.Subject, c, len(wrong) == 0, err)
	case len(wrong) > 0:
		return p.showClaim(w, r, v, typed, http.StatusUnprocessableEntity, wrong...)
	}
	c.Owner, c.Key = v.Subject, rand.Text()
	err = p.Gate.Update(r.Context(), v, func(s *signin.Session) {
		if old := s.Claim; old != nil && old.Same(c) {
			c.Key = old.Key // pressed twice, or sent again after an outage: one effect
		}
		kept := c
		s.Claim = &kept
	})
	if err != nil {
		return err
	}
	return p.send(w, r, v, c)
}

// maxTyped bounds what is kept of a field that cannot be right, in bytes: what the page lets people type.
const maxTyped = 64

func typedClaim(form url.Values) signin.Claim {
	return signin.Claim{Receipt: strings.TrimSpace(form.Get("receipt")), Code: strings.TrimSpace(form.Get("code"))}
}

// takeAlong begins a sign-in that brings a claim into the next session of its owner: to look at it, or to put right what is
// wrong. Whoever else signs in on that browser gets nothing of it, nor does anybody when nobody knows whose it is.
func (p *Portal) takeAlong(w http.ResponseWriter, r *http.Request, owner string, c signin.Claim, right bool, ended error) error {
	if owner == "" || c.Receipt+c.Code == "" || len(c.Receipt) > maxTyped || len(c.Code) > maxTyped {
		return ended
	}
	c.Owner, c.Key = owner, rand.Text()
	to := "/claim"
	if right {
		to = "/claim/review"
	}
	return p.begin(w, r, signin.Request{ReturnTo: to, Claim: &c})
}

// readClaim checks what can be checked without asking anybody: a slip of the pen should not cost a sign-in.
func readClaim(typed signin.Claim) (signin.Claim, []ui.FieldError) {
	var wrong []ui.FieldError
	receipt, err := paper.ParseReceipt(typed.Receipt)
	switch {
	case typed.Receipt == "":
		wrong = append(wrong, ui.Wrong("receipt", ui.ErrReceiptRequired))
	case err != nil:
		wrong = append(wrong, ui.Wrong("receipt", ui.ErrReceiptFormat))
	}
	code, err := paper.ParseClaimCode(typed.Code)
	switch {
	case typed.Code == "":
		wrong = append(wrong, ui.Wrong("code", ui.ErrCodeRequired))
	case errors.Is(err, paper.ErrCodeChecksum):
		wrong = append(wrong, ui.Wrong("code", ui.ErrCodeChecksum))
	case err != nil:
		wrong = append(wrong, ui.Wrong("code", ui.ErrCodeFormat))
	}
	if len(wrong) > 0 {
		return typed, wrong
	}
	return signin.Claim{Receipt: string(receipt), Code: strings.ReplaceAll(code.Grouped(), "-", "")}, nil
}

// claimReview shows what will be sent, after a step-up.
func (p *Portal) claimReview(w http.ResponseWriter, r *http.Request, v signin.Visit) error {
	if v.Claim == nil {
		return see(w, "/claim")
	}
	return p.show(w, r, http.StatusOK, ui.ClaimReview{Base: p.ownBase(w, r, purposeSend, v), Receipt: v.Claim.Receipt, Code: v.Claim.Code})
}

// claimSend sends what the review showed: that, and nothing else. The form carries it along, so that it outlives a session
// that ends on that page.
func (p *Portal) claimSend(w http.ResponseWriter, r *http.Request) error {
	form, formErr := p.form(r, purposeSend)
	if formErr != nil && !errors.Is(formErr, errFormExpired) {
		return formErr
	}
	v, err := p.Gate.Current(r)
	shown, wrong := readClaim(typedClaim(form))
	switch {
	case errors.Is(err, signin.ErrSessionEnded) && formErr == nil:
		return p.takeAlong(w, r, v.Subject, shown, len(wrong) == 0, err)
	case err != nil:
		return err
	case v.Claim == nil && v.Notice != "": // pressed twice: the first one has added the case
		return see(w, homePath)
	case formErr != nil || v.Claim == nil || !v.Claim.Same(shown):
		return see(w, "/claim/review")
	}
	return p.send(w, r, v, *v.Claim)
}

// sendTries is how often a claim is sent while an earlier one with its key is under way: somebody pressed twice.
const sendTries = 3

// askClaim asks the API for the case, with the answer of the first try where it is sent again.
func (p *Portal) askClaim(ctx context.Context, token string, c signin.Claim) (got caseapi.Case, err error) {
	for range sendTries {
		got, err = p.API.Claim(ctx, token, c.Key, c.Receipt, c.Code)
		var problem *caseapi.Problem
		if !errors.As(err, &problem) || problem.Code != codeInProgress {
			break
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-time.After(min(problem.RetryAfter, time.Second)):
		}
	}
	return got, err
}

// codeInProgress is the API's word for a key whose first call has not ended.
const codeInProgress = "request_in_progress"

// send asks the API for the case.
func (p *Portal) send(w http.ResponseWriter, r *http.Request, v signin.Visit, c signin.Claim) error {
	got, err := ask(r.Context(), p, v, func(ctx context.Context, token string) (caseapi.Case, error) {
		return p.askClaim(ctx, token, c)
	})
	if err == nil {
		return p.claimed(w, r, v, c, string(ui.NoticeClaimed), homePath+"/"+got.ID)
	}
	var problem *caseapi.Problem
	isProblem := errors.As(err, &problem)
	switch {
	case isProblem && problem.Challenge.StepUp():
		return p.begin(w, r, signin.Request{ReturnTo: "/claim/review", ACR: problem.Challenge.ACR, MaxAge: problem.Challenge.MaxAge, Subject: v.Subject, Claim: &c})
	case isProblem && problem.Code == "case_already_yours":
		return p.claimed(w, r, v, c, string(ui.NoticeAlreadyYour), homePath)
	}
	status, wrong := claimErrors(problem, err)
	if len(wrong) == 0 {
		return err
	}
	web.InfoOf(r).Cause = err
	if status < http.StatusInternalServerError && status != http.StatusConflict {
		again := c // this attempt has its answer; the next one is another
		again.Key = rand.Text()
		if err := p.Gate.Update(r.Context(), v, func(s *signin.Session) { s.Claim = &again }); err != nil {
			return err
		}
	}
	return p.showClaim(w, r, v, c, status, wrong...)
}

// claimed forgets the claim, unless another tab holds another one by now, and says what was done.
func (p *Portal) claimed(w http.ResponseWriter, r *http.Request, v signin.Visit, c signin.Claim, notice, to string) error {
	err := p.Gate.Update(r.Context(), v, func(s *signin.Session) {
		if s.Notice = notice; s.Claim != nil && s.Claim.Key == c.Key {
			s.Claim = nil
		}
	})
	if err != nil {
		return err
	}
	return see(w, to)
}

// claimErrors says which fields are wrong, and with which status; none for an error that is no matter of the form.
func claimErrors(problem *caseapi.Problem, err error) (int, []ui.FieldError) {
	if problem == nil || problem.Status >= http.StatusInternalServerError {
		if fault.Is(err, fault.Unavailable) && !errors.Is(err, signin.ErrUnavailable) {
			return http.StatusServiceUnavailable, []ui.FieldError{ui.Wrong("", ui.ErrUnavailable)}
		}
		return 0, nil
	}
	wait := max(problem.RetryAfter, time.Second)
	switch problem.Code {
	case "claim_not_accepted":
		return http.StatusUnprocessableEntity, []ui.FieldError{ui.Wrong("receipt", ui.ErrNotAccepted)}
	case codeInProgress:
		return http.StatusConflict, []ui.FieldError{ui.Wrong("", ui.ErrInProgress)}
	case "idempotency_key_reused":
		return http.StatusUnprocessableEntity, []ui.FieldError{ui.Wrong("", ui.ErrFormExpired)}
	case "too_many_tries":
		return http.StatusTooManyRequests, []ui.FieldError{ui.Wrong("", ui.ErrTooManyTries, "Wait", wait)}
	case "slow_down":
		return http.StatusTooManyRequests, []ui.FieldError{ui.Wrong("", ui.ErrSlowDown, "Wait", wait)}
	}
	var wrong []ui.FieldError
	for _, e := range problem.Errors {
		switch e.Pointer {
		case "/receipt":
			wrong = append(wrong, ui.Wrong("receipt", ui.ErrReceiptFormat))
		case "/code":
			key := ui.ErrCodeFormat
			if e.Code == "code_checksum" {
				key = ui.ErrCodeChecksum
			}
			wrong = append(wrong, ui.Wrong("code", key))
		}
	}
	return http.StatusUnprocessableEntity, wrong
}

// showClaim shows the form again with what was typed and what is wrong.
func (p *Portal) showClaim(w http.ResponseWriter, r *http.Request, v signin.Visit, typed signin.Claim, status int, wrong ...ui.FieldError) error {
	page := ui.Claim{Base: p.ownBase(w, r, purposeClaim, v), Receipt: ui.Receipt(typed.Receipt), Code: ui.Code(typed.Code)}
	page.Here, page.Errors = "/claim", wrong
	for _, e := range wrong {
		if len(e.Args) == 2 {
			if wait, ok := e.Args[1].(time.Duration); ok {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
			}
		}
	}
	return p.show(w, r, status, page)
}
