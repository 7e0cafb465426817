package reference

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one metric.
type Metric struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"` // counter, gauge or histogram
	Help   string   `json:"help"`
	Labels []string `json:"labels,omitempty"`
}

// description is what prometheus.Desc says of itself: its fields are not exported.
var description = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), unit: "[^"]*", constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// Metrics lists the registered metrics whose names begin with namespace, by name, also those that nothing was counted of
// yet. It is an error when a metric has no help, or when neither a value nor the name tells its type: names of counters
// end with _total, those of histograms with _seconds.
func Metrics(reg *prometheus.Registry, namespace string) ([]Metric, error) {
	types, err := gathered(reg)
	if err != nil {
		return nil, err
	}
	descs := make(chan *prometheus.Desc)
	go func() { reg.Describe(descs); close(descs) }()
	var out []Metric
	for d := range descs {
		m, e := read(d, types)
		switch {
		case e != nil:
			err = e
		case strings.HasPrefix(m.Name, namespace+"_"):
			if m.Type == "" || m.Help == "" {
				err = fmt.Errorf("metric %s: its type or its help is not known", m.Name)
			}
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// gathered tells the type of each metric that has a value.
func gathered(reg prometheus.Gatherer) (map[string]string, error) {
	types := map[string]string{}
	families, err := reg.Gather()
	for _, f := range families {
		types[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	return types, err
}

func read(d *prometheus.Desc, types map[string]string) (m Metric, err error) {
	f := description.FindStringSubmatch(d.String())
	if f == nil {
		return m, fmt.Errorf("cannot read %s", d)
	}
	if m.Name, err = strconv.Unquote(f[1]); err != nil {
		return m, err
	}
	if m.Help, err = strconv.Unquote(f[2]); err != nil {
		return m, err
	}
	if f[3] != "" {
		m.Labels = strings.Split(f[3], ",")
	}
	switch m.Type = types[m.Name]; {
	case m.Type != "":
	case strings.HasSuffix(m.Name, "_total"):
		m.Type = "counter"
	case strings.HasSuffix(m.Name, "_seconds"):
		m.Type = "histogram"
	}
	return m, nil
}
