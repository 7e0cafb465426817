package launch

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestChoose_GivesEveryListenerAPortOfItsOwnAndKeepsThoseThatAreChosen(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{0, 2} {
		c := Config{Ports: ServicePorts{IDP: 7}}
		var ports Ports
		at, err := ports.Choose(&c, replicas)
		ports.Release()
		if err != nil || len(at) != replicas || c.Ports.IDP != 7 {
			t.Fatalf("%v, %+v, %v", at, c.Ports, err)
		}
		seen := map[int]bool{0: true, c.SMTP: true}
		front := c.Ports
		if replicas > 0 {
			if first := at[0]; front.IDPPrivate != first.IDPPrivate || front.CaseAPIPrivate != first.CaseAPIPrivate || front.PortalPrivate != first.PortalPrivate {
				t.Errorf("private are %+v, those of the first replica %+v", front, first)
			}
			front.IDPPrivate, front.CaseAPIPrivate, front.PortalPrivate = -1, -2, -3 // they are seen at the replica
		}
		for _, s := range append(at, front) {
			for _, port := range s.each() {
				if seen[*port] {
					t.Errorf("%d was given twice, or not at all", *port)
				}
				seen[*port] = true
			}
		}
	}
}

func TestSpec_TellsWhereItListens(t *testing.T) {
	t.Parallel()
	c := Config{Ports: ServicePorts{IDP: 1, CaseAPI: 2, Portal: 3}}
	for port, s := range map[int]Spec{1: c.IDPSpec(), 2: c.CaseAPISpec(), 3: c.PortalSpec("p"), 4: c.Replica(1, ServicePorts{Portal: 4}).PortalSpec("p")} {
		if s.At != Loopback(port) {
			t.Errorf("%s listens at %s, not at %d", s.Name, s.At, port)
		}
	}
}

func TestMetric_SumsWhatHasTheNameAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, "# HELP a what\na 7\nab 100\nb{x=\"1\"} 1\nb{x=\"2\"} 2e3\nc oops\n")
	}))
	t.Cleanup(server.Close)
	of := Spec{Ready: server.URL + "/readyz"}
	for name, want := range map[string]float64{"a": 7, "b": 2001, `b{x="2"}`: 2000} {
		if n, err := of.Metric(t.Context(), name); err != nil || n != want {
			t.Errorf("%s is %v, %v", name, n, err)
		}
	}
	if _, err := of.Metric(t.Context(), "d"); !errors.Is(err, ErrNoMetric) {
		t.Errorf("none is %v", err)
	}
	if _, err := of.Metric(t.Context(), "c"); err == nil || errors.Is(err, ErrNoMetric) {
		t.Errorf("no number is %v", err)
	}
	server.Close()
	if _, err := of.Metric(t.Context(), "a"); err == nil || errors.Is(err, ErrNoMetric) {
		t.Errorf("nobody there is %v", err)
	}
}
