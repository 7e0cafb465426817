package main

import (
	"regexp"
	"testing"
	"time"

	"ellis.example/caseservice/internal/accesstoken/issuertest"
	"ellis.example/caseservice/internal/clock"
)

func TestReference_TellsEveryMetricOfBothServices(t *testing.T) {
	t.Parallel()
	listed, err := registeredMetrics()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range listed {
		known[m.Name] = true
	}
	o := newOperator(t)
	api := o.serve(issuertest.Start(t, clock.NewFake(time.Now())).URL)
	portal := o.start("portal", "--issuer", "http://localhost:1", "--api", issuertest.Audience, "--api-url", "http://localhost:1", "--public-url", "http://localhost:8082",
		"--client-id", "portal", "--client-secret-file", o.write("secret", "portal-secret\n"))
	for _, p := range []*process{api, portal} {
		p.get(p.public + "/")
		_, body := p.get(p.private + "/metrics")
		names := regexp.MustCompile(`(?m)^# TYPE (caseservice_\w+) `).FindAllStringSubmatch(body, -1)
		if len(names) < 3 {
			t.Errorf("found %d metrics: %s", len(names), body)
		}
		for _, n := range names {
			if !known[n[1]] {
				t.Errorf("%s is not in the reference", n[1])
			}
		}
		if !regexp.MustCompile(`(?m)^go_build_info\{`).MatchString(body) {
			t.Error("nothing tells the version")
		}
	}
}
