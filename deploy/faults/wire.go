package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"ellis.example/deploy/internal/agent"
)

const answerTime = 15 * time.Second

// newClient returns a client that follows no redirect. Connections are not kept, so that a fault meets each request by itself.
func newClient() *http.Client {
	return &http.Client{Timeout: answerTime, Transport: transport(""), CheckRedirect: agent.NoRedirect}
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
