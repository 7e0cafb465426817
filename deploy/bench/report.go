package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// report is what --json prints and --compare reads.
type report struct {
	Where      string             `json:"cores"`
	Operations []result           `json:"operations"`
	Stores     []storeResult      `json:"stores"`
	StartupMS  float64            `json:"startup_ms"`  // of the first store
	IdleMB     float64            `json:"rss_idle_mb"` // the same
	LoadMB     float64            `json:"rss_load_mb"` // the same: the most that was seen
	Yardsticks map[string]float64 `json:"yardsticks"`  // processor time in microseconds
	FsyncDelay float64            `json:"fsync_delay_ms,omitempty"`
}

// storeResult is what belongs to a store and to no operation.
type storeResult struct {
	Store     string  `json:"store"`
	Volatile  string  `json:"volatile"` // memory | redis
	StartupMS float64 `json:"startup_ms"`
	IdleMB    float64 `json:"rss_idle_mb"`
	LoadMB    float64 `json:"rss_load_mb"`
}

// result is one operation over one store.
type result struct {
	Name     string         `json:"name"`
	Store    string         `json:"store"`
	Workers  int            `json:"workers"`
	Rate     float64        `json:"rate"`   // a second
	CPU      float64        `json:"cpu_us"` // of the server, for one operation
	Database float64        `json:"database_cpu_us,omitempty"`
	Cache    float64        `json:"cache_cpu_us,omitempty"`
	Hash     float64        `json:"hash_share,omitempty"` // a bare hash by turns with it, as a part of CPU
	P50      float64        `json:"p50_ms"`
	P99      float64        `json:"p99_ms"`
	Errors   int            `json:"errors"`
	Kinds    map[string]int `json:"error_kinds,omitempty"`
	Target   float64        `json:"target_cpu_us,omitempty"`
}

func (r *report) errors() (n int) {
	for _, o := range r.Operations {
		n += o.Errors
	}
	return n
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// table writes the report for people. before is the report that it is compared with, or nil.
func (r *report) table(w io.Writer, before *report) error {
	fmt.Fprintf(w, "%s; processor time in µs\n\n", r.Where)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "operation\tstore\tCPU\tof target\tof hello\tdatabase\tredis\trate/s\tp50 ms\tp99 ms\terrors\t"
	if before != nil {
		head += "to before\t"
	}
	fmt.Fprintln(t, head)
	for _, o := range r.Operations {
		target := "-"
		if o.Target > 0 {
			target = fmt.Sprintf("%.2f", o.CPU/o.Target)
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%.1f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%d\t", o.Name, o.Store, o.CPU, target, o.CPU/r.Yardsticks["http"], o.Database, o.Cache, o.Rate, o.P50, o.P99, o.Errors)
		if before != nil {
			fmt.Fprintf(t, "%s\t", r.since(before, o))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Stores {
		fmt.Fprintf(w, "\n%s + %s: start-up %.0f ms; resident %.0f MB at rest, %.0f MB under load", s.Store, s.Volatile, s.StartupMS, s.IdleMB, s.LoadMB)
	}
	fmt.Fprint(w, "\n\nyardsticks:")
	for _, y := range yardsticks() {
		fmt.Fprintf(w, " %s %.1f", y.name, r.Yardsticks[y.name])
	}
	fmt.Fprintln(w)
	for _, o := range r.Operations {
		if o.Hash > 0 {
			fmt.Fprintf(w, "%s over %s: one bare hash is %.1f %% of it\n", o.Name, o.Store, 100*o.Hash)
		}
		for kind, n := range o.Kinds {
			fmt.Fprintf(w, "%s over %s, %d times: %s\n", o.Name, o.Store, n, kind)
		}
	}
	return nil
}

// since is how an operation stands to the same one of an earlier report, each in units of its run's bare HTTP handler: so a
// machine that is slower today changes little.
func (r *report) since(before *report, now result) string {
	i := slices.IndexFunc(before.Operations, func(o result) bool { return o.Name == now.Name && o.Store == now.Store })
	if i < 0 || before.Operations[i].CPU == 0 || before.Yardsticks["http"] == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", now.CPU/r.Yardsticks["http"]*before.Yardsticks["http"]/before.Operations[i].CPU)
}

func readReport(path string) (*report, error) {
	b, err := os.ReadFile(path) //nolint:gosec // a file that the caller names
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s is no report: %w", path, err)
	}
	return r, nil
}
