package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// canaries are the secrets that tests used, to be looked for where they must not be.
type canaries struct {
	mu   sync.Mutex
	kind map[string]string // text → what it is
}

// secrets are those of this run.
var secrets = &canaries{kind: map[string]string{}}

// add remembers a secret. What is too short to be found without doubt is passed over.
func (c *canaries) add(kind, text string) {
	if len(text) < 6 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kind[text] = kind
	for _, other := range []string{strings.ReplaceAll(text, "-", ""), url.QueryEscape(text)} {
		c.kind[other] = kind
	}
}

// tokenText finds the artefacts of the provider and JSON Web Tokens, whoever made them.
var tokenText = regexp.MustCompile(`\be(ac|rt|pr|cs|ml|ss|fb|dv|ps|pb)_[A-Za-z0-9_-]{43,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)

// digits stand alone: they are no part of a longer number, of a time or of a name.
var sixDigits = regexp.MustCompile(`(?:^|[^0-9A-Za-z_.:-])([0-9]{6})(?:[^0-9A-Za-z_.:-]|$)`)

// took are the durations in logs, which are numbers too.
var took = regexp.MustCompile(`"(took|duration)":[0-9.]+`)

// in returns what a text contains of the secrets, each named once.
func (c *canaries) in(text string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	text = took.ReplaceAllString(text, "")
	short := map[string]bool{}
	for _, m := range sixDigits.FindAllStringSubmatch(text, -1) {
		short[m[1]] = true
	}
	for s, kind := range c.kind {
		if len(s) == 6 && short[s] || len(s) > 6 && strings.Contains(text, s) {
			found = append(found, fmt.Sprintf("a %s (%s…)", kind, s[:4]))
		}
	}
	for _, t := range tokenText.FindAllString(text, -1) {
		found = append(found, fmt.Sprintf("a token (%s…)", t[:12]))
	}
	return found
}

// inLogs looks at everything that the services wrote.
func (c *canaries) inLogs(s *system) []string {
	logs, err := filepath.Glob(filepath.Join(s.DataDir, "logs", "*.log"))
	if err != nil || len(logs) < 3 {
		return []string{fmt.Sprintf("there are no logs to look at in %s: %v (%v)", s.DataDir, logs, err)}
	}
	var found []string
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			found = append(found, fmt.Sprintf("%s cannot be read or is empty (%v)", path, err))
			continue
		}
		for _, f := range c.in(string(b)) {
			found = append(found, filepath.Base(path)+" has "+f)
		}
	}
	return found
}
