package reference

import (
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"ellis.example/idp/internal/config"
)

func TestMetrics_ListsWhatHasNoValueYet(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x_seen_total", Help: `Things "seen".`}, []string{"kind", "status"}),
		prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "x_took_seconds", Help: "Time."}, []string{"kind"}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x_age_seconds", Help: "Age."}, func() float64 { return 1 }),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "Not ours."}),
	)
	got, err := Metrics(reg, "x")
	want := []Metric{
		{"x_age_seconds", "gauge", "Age.", nil},
		{"x_seen_total", "counter", `Things "seen".`, []string{"kind", "status"}},
		{"x_took_seconds", "histogram", "Time.", []string{"kind"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "x_mute_total"}))
	if _, err := Metrics(reg, "x"); err == nil {
		t.Error("a metric without help was taken")
	}
}

func TestMetrics_RefusesWhatHasNoKnownType(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "x_things", Help: "Things."}, []string{"kind"}))
	if _, err := Metrics(reg, "x"); err == nil {
		t.Error("a type was made up")
	}
}

func TestCommands_TellFlagsAndSecretsAndLeaveOutWhatIsHidden(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "prog", Short: "A program"}
	root.PersistentFlags().Bool("json", false, "print JSON")
	sub := &cobra.Command{Use: "look PATH", Short: "Look", Run: func(*cobra.Command, []string) {}}
	sub.Flags().String("where", "here", "place")
	config.SecretFlag(sub.Flags(), "PROG", "key", "a key")
	sub.Flags().String("old", "", "gone")
	sub.Flags().Lookup("old").Hidden = true
	root.AddCommand(sub, &cobra.Command{Use: "inner", Hidden: true, Run: sub.Run})
	got := Commands(root, "PROG")
	if len(got) != 2 || got[0].Path != "prog" || got[0].Runs {
		t.Fatalf("got %+v", got)
	}
	want := Command{Path: "prog look", Use: "prog look PATH", Short: "Look", Runs: true, Flags: []Flag{
		{Name: "key-file", Type: "string", Usage: "a key (file; or PROG_KEY)", Env: "PROG_KEY_FILE", Secret: "PROG_KEY"},
		{Name: "where", Type: "string", Default: "here", Usage: "place", Env: "PROG_WHERE"},
		{Name: "json", Type: "bool", Default: "false", Usage: "print JSON", Env: "PROG_JSON", Global: true},
	}}
	if !reflect.DeepEqual(got[1], want) {
		t.Errorf("got  %+v\nwant %+v", got[1], want)
	}
}
