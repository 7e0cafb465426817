package launch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"ellis.example/deploy/internal/agent"
)

// ErrNoMetric is returned where a process tells of no such metric.
var ErrNoMetric = errors.New("no such metric")

// Private is the base URL of the private listener.
func (s Spec) Private() string { return strings.TrimSuffix(s.Ready, "/readyz") }

// Metric returns the sum of the samples of a process that have a name: that of a metric, or of one series with its labels as they
// are printed. Errors: ErrNoMetric.
func (s Spec) Metric(ctx context.Context, name string) (sum float64, err error) {
	a, err := agent.Send(ctx, &http.Client{Timeout: grace, Transport: alone}, http.MethodGet, s.Private()+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	found := false
	for line := range strings.Lines(string(a.Body)) {
		rest, is := strings.CutPrefix(line, name)
		if !is || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum, found = sum+n, true
	}
	if !found {
		return 0, fmt.Errorf("%s: %w: %s", s.Private(), ErrNoMetric, name)
	}
	return sum, nil
}

// alone is a connection for each question: one that is kept is a file of the process that is asked, and may be gone with it.
var alone = &http.Transport{DisableKeepAlives: true}
