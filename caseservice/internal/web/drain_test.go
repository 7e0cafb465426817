package web_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"ellis.example/caseservice/internal/web"
)

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A balancer that has just looked still sends: for as long as notice is given everything is answered, each time with a hint to
// come on another connection, and a request that waits for something is told of the end before the listener closes.
func TestServers_GiveNoticeBeforeTheListenerCloses(t *testing.T) {
	t.Parallel()
	const notice = 2 * time.Second // longer than any answer takes on a busy machine
	state, waits := &web.State{}, make(chan struct{})
	s := web.Servers{
		Log: slog.New(slog.DiscardHandler), State: state, Notice: notice, Drain: 10 * time.Second, Private: http.NotFoundHandler(),
		Public: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/poll" {
				close(waits)
				<-state.Closing()
			}
			_, _ = io.WriteString(w, "answered")
		}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	public, private := listener(t), listener(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, public, private) }()
	polled := make(chan string, 1)
	get := func(path string) (string, bool) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+public.Addr().String()+path, http.NoBody)
		if err != nil {
			return err.Error(), false
		}
		res, err := (&http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}).Do(r)
		if err != nil {
			return err.Error(), false
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b), res.Close
	}
	go func() { body, _ := get("/poll"); polled <- body }()
	<-waits
	if body, last := get("/"); body != "answered" || last {
		t.Errorf("while it serves: %q, last on its connection: %v", body, last)
	}
	told := time.Now()
	cancel()
	for state.Serving() {
		time.Sleep(time.Millisecond)
	}
	if body, last := get("/"); body != "answered" || !last {
		t.Errorf("in the time of notice: %q, last on its connection: %v", body, last)
	}
	select {
	case <-state.Closing():
		if time.Since(told) < notice {
			t.Error("there was no time of notice")
		}
	default:
	}
	if body := <-polled; body != "answered" {
		t.Errorf("who waited got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if body, _ := get("/"); body == "answered" {
		t.Error("it serves on")
	}
}
