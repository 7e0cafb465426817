package caseapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ellis.example/caseservice/internal/fault"
)

// Problem is an error answer of the API (RFC 9457). It unwraps to a fault that fits a page.
type Problem struct {
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Errors     []FieldError  `json:"errors"`
	Support    string        `json:"support_code"`
	RetryAfter time.Duration `json:"-"`
	Challenge  Challenge     `json:"-"`
}

// FieldError names one member of the request that is at fault.
type FieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
}

// Error implements error. The text is for logs.
func (p *Problem) Error() string {
	s := fmt.Sprintf("case API: %d %.64q", p.Status, p.Code)
	if p.Support != "" {
		s += fmt.Sprintf(" support code %.64q", p.Support)
	}
	return s
}

// Unwrap returns the fault that a page shows.
func (p *Problem) Unwrap() error {
	switch {
	case p.Status == http.StatusNotFound:
		return fault.New(fault.NotFound, "case_not_found", "no such case, or not yours")
	case p.Status == http.StatusForbidden:
		return fault.New(fault.Forbidden, "api_forbidden", "the access token does not reach so far")
	case p.Status == http.StatusTooManyRequests:
		return fault.New(fault.TooMany, "api_too_many", "too many requests").After(p.RetryAfter)
	case p.Status >= http.StatusInternalServerError:
		return fault.New(fault.Unavailable, "api_unavailable", "the case service does not answer").After(max(p.RetryAfter, time.Second))
	}
	return fault.New(fault.Internal, "api_refused", "the case service refused the request")
}

// problemOf reads an error answer. What is no problem document counts by its status alone.
func problemOf(resp *http.Response, body []byte) *Problem {
	p := &Problem{}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "application/problem+json" {
		if json.Unmarshal(body, p) != nil {
			p = &Problem{}
		}
	}
	p.Status = resp.StatusCode
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		p.RetryAfter = time.Duration(min(n, 86400)) * time.Second
	}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		p.Challenge = ParseChallenge(resp.Header.Get("WWW-Authenticate"))
	}
	return p
}

// TokenRefused reports whether the API did not take the access token as such.
func (p *Problem) TokenRefused() bool {
	return p.Status == http.StatusUnauthorized && !p.Challenge.StepUp()
}

// Challenge is what the API wants of the next access token (RFC 6750 §3, RFC 9470 §3).
type Challenge struct {
	Error  string
	ACR    []string
	MaxAge *time.Duration
}

// StepUp reports whether a stronger or fresher sign-in is asked for.
func (c Challenge) StepUp() bool {
	return c.Error == "insufficient_user_authentication" && (len(c.ACR) > 0 || c.MaxAge != nil)
}

const (
	maxChallenge = 4096
	maxACR       = 8
)

// ParseChallenge reads a WWW-Authenticate header with one Bearer challenge; anything else is an empty Challenge.
func ParseChallenge(header string) Challenge {
	params, ok := bearerParams(header)
	if !ok {
		return Challenge{}
	}
	c := Challenge{Error: params["error"], ACR: strings.Fields(params["acr_values"])}
	if len(c.ACR) > maxACR || slices.ContainsFunc(c.ACR, func(s string) bool { return len(s) > 128 }) {
		return Challenge{}
	}
	if text, there := params["max_age"]; there {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return Challenge{}
		}
		d := time.Duration(n) * time.Second
		c.MaxAge = &d
	}
	return c
}

// bearerParams reads the auth-params of a challenge (RFC 9110 §11.2): name=token or name="quoted", each once.
func bearerParams(header string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(header) > maxChallenge {
		return nil, false
	}
	out := map[string]string{}
	for rest = strings.TrimLeft(rest, " ,"); rest != ""; rest = strings.TrimLeft(rest, " ,") {
		name, after, ok := strings.Cut(rest, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := out[name]; !ok || name == "" || twice || strings.ContainsAny(name, " \"") {
			return nil, false
		}
		if out[name], rest, ok = paramValue(strings.TrimLeft(after, " ")); !ok {
			return nil, false
		}
	}
	return out, true
}

func paramValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", ")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
