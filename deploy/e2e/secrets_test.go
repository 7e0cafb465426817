package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
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

// neverInAddresses are the kinds that no address may carry: it stays in histories, and in logs of proxies.
var neverInAddresses = map[string]bool{"password": true, "TOTP secret": true, "one-time code": true, "recovery code": true, "claim code": true, "client secret": true}

// onTheWire looks at what Chromium sent: it learns the cookies and codes that were used, and returns what was told where it
// must not be.
func (c *canaries) onTheWire(w *wire) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.urls) < 100 || len(w.cookies) < 10 {
		return []string{fmt.Sprintf("only %d addresses and %d cookies were heard", len(w.urls), len(w.cookies))}
	}
	for _, line := range slices.Collect(maps.Keys(w.cookies)) {
		cookies, err := http.ParseCookie(line)
		if err != nil {
			found = append(found, "cookies cannot be read: "+err.Error())
		}
		for _, one := range cookies {
			if len(one.Value) >= 20 {
				c.add("cookie "+one.Name, one.Value)
			}
		}
	}
	for address := range w.urls {
		u, err := url.Parse(address)
		if err != nil {
			continue // such as about:blank with more
		}
		for _, name := range []string{"code", "token"} {
			c.add("authorization code or mailed link", u.Query().Get(name))
		}
		c.mu.Lock()
		for s, kind := range c.kind {
			if neverInAddresses[kind] && len(s) > 6 && strings.Contains(address, s) {
				found = append(found, fmt.Sprintf("a %s (%s…) is in the address %s%s", kind, s[:4], u.Host, u.Path))
			}
		}
		c.mu.Unlock()
	}
	for referer := range w.referers {
		if strings.Contains(referer, "?") {
			found = append(found, "a Referer tells an address with its query: "+referer)
		}
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

// Whatever finds nothing has to be able to find something.
func TestCanaries_AreFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	c := &canaries{kind: map[string]string{}}
	c.add("password", "quiet-harbor-lantern")
	c.add("one-time code", "493027")
	c.add("claim code", "7K3M-99QF-AB12-CD34")
	for text, want := range map[string]int{
		`{"msg":"signed in","user":"quiet-harbor-lantern"}`:     1,
		`{"code":"7K3M99QFAB12CD34"}`:                           1,
		`{"code":"493027"}`:                                     1,
		`{"took":493027,"id":"flw_493027x"}`:                    0,
		`{"t":"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4eHh4eHgifQ.x"}`: 1,
		`ert_` + strings.Repeat("Ab3_", 11):                     1,
		`{"msg":"serving","listen":"127.0.0.1:8080"}`:           0,
	} {
		if got := c.in(text); len(got) != want {
			t.Errorf("%s: found %v, want %d", text, got, want)
		}
	}
}
