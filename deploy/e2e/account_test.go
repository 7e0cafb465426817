package e2e

import (
	"strings"
	"testing"
)

func TestSignUp_WorksWithAndWithoutScripts(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string]bool{"with scripts": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, p := chrome.with(t, scripts).tab(), newPerson(t, "en")
			p.settle(v, true)
			if !strings.Contains(v.Text(), "Noor") {
				t.Errorf("the account page says %s", v.Text())
			}
		})
	}
}
