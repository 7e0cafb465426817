package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	answerTime = 15 * time.Second
	maxAnswer  = 1 << 20
)

// newClient returns a client that follows no redirect. Connections are not kept, so that a fault meets each request by itself.
func newClient() *http.Client {
	return &http.Client{
		Timeout: answerTime, Transport: transport(""),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a form, or nothing, and reads the answer. header holds pairs.
func send(ctx context.Context, c *http.Client, method, to string, form url.Values, header ...string) (a answer, err error) {
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return a, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close() //nolint:errcheck // the body is read to its end
	a = answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return a, err
}

// claims are what the driver wants to know of a token.
type claims struct {
	JTI string `json:"jti"`
	Sub string `json:"sub"`
}

var errCompact = errors.New("no compact JWS")

// read reads the claims without looking at the signature: other tests do.
func read(token string) (c claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errCompact
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}
