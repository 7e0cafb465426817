package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"ellis.example/caseservice/internal/config"
)

const healthTimeout = 5 * time.Second

func newHealthcheckCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask a running service whether it is ready", Args: cobra.NoArgs,
		Long: "Ask /readyz of a running service. Without --url, the one at --private-listen on this machine.",
	}
	s.flags(cmd.Flags(), "private-listen")
	where := cmd.Flags().String("url", "", "URL to ask; /readyz when it has no path")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		u, err := healthURL(*where, s.privateListen)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, u, nil)
		if err != nil {
			return err
		}
		res, err := (&http.Client{Timeout: healthTimeout}).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		var state struct {
			Status   string   `json:"status"`
			Degraded []string `json:"degraded,omitempty"`
		}
		if err := json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&state); err != nil {
			return fmt.Errorf("%s does not answer like this service: %w", u, err)
		}
		text := state.Status
		if len(state.Degraded) > 0 {
			text = fmt.Sprintf("%s, without %v", state.Status, state.Degraded)
		}
		if err := show(cmd, *asJSON, state, text); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %d", u, res.StatusCode)
		}
		return nil
	}
	return cmd
}

// healthURL is what to ask.
func healthURL(given, listen string) (string, error) {
	if given == "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return "", &config.Error{Where: "--private-listen", Problem: err.Error()}
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		given = "http://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" {
		return "", &config.Error{Where: "--url", Problem: fmt.Sprintf("%q is not an absolute URL", given)}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/readyz"
	}
	return u.String(), nil
}
