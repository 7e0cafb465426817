package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	profilesAtOnce = 2               // of them, however many tests run side by side
	tabTime        = 4 * time.Minute // for everything that one test does in a tab, on a machine that is busy with others
)

// chromium is the one browser process of a run.
type chromium struct {
	ctx   context.Context
	stop  func()
	dir   string
	slots chan struct{}
	wire  wire
}

// wire is what went over the network: what a browser gives away, to be looked through at the end.
type wire struct {
	mu       sync.Mutex
	urls     map[string]bool
	referers map[string]bool
	cookies  map[string]bool // values
}

func (w *wire) note(m map[string]bool, s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m[s] = true
}

// startChromium starts the browser with a fresh profile. That there is none is an error: a test that is not run shows
// nothing.
func startChromium() (*chromium, error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		return nil, errors.New("it is not installed: on Debian, apt-get install chromium; elsewhere install Chromium or Chrome and put it into PATH")
	}
	dir, err := os.MkdirTemp("", "ellis-e2e-profile-")
	if err != nil {
		return nil, err
	}
	c := &chromium{dir: dir, slots: make(chan struct{}, profilesAtOnce), wire: wire{urls: map[string]bool{}, referers: map[string]bool{}, cookies: map[string]bool{}}}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	alloc, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	c.ctx, c.stop = ctx, func() {
		cancel()
		release()
		_ = os.RemoveAll(dir)
	}
	if err := chromedp.Do(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// profile is a browser with cookies of its own, as one person has it.
type profile struct {
	t       *testing.T
	ctx     context.Context
	scripts bool
	first   *tab
}

// with opens a profile whose pages run scripts, or not. It waits until few others are open, and is gone with the test.
func (c *chromium) with(t *testing.T, scripts bool) *profile {
	t.Helper()
	c.slots <- struct{}{}
	t.Cleanup(func() { <-c.slots })
	return c.another(t, scripts)
}

// another opens a profile beside one that the test has.
func (c *chromium) another(t *testing.T, scripts bool) *profile {
	t.Helper()
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, tabTime)
	t.Cleanup(stop)
	p := &profile{t: t, ctx: ctx, scripts: scripts}
	p.first = p.prepare(ctx)
	return p
}

// tab returns the first tab.
func (p *profile) tab() *tab { return p.first }

// prepare makes a tab out of its context, and listens to what it sends.
func (p *profile) prepare(ctx context.Context) *tab {
	p.t.Helper()
	b := &tab{t: p.t, ctx: ctx, profile: p, asked: map[string]bool{}}
	listen := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error { return chromedp.Listen(ctx, b.heard) })
	enable := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	})
	if err := chromedp.Do(ctx, listen, enable, chromedp.EmulateViewport(1280, 900)); err != nil {
		p.t.Fatal("opening a tab: ", err)
	}
	b.setScripts(p.scripts)
	return b
}

// heard notes what goes over the wire.
func (b *tab) heard(ev any) {
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		chrome.wire.note(chrome.wire.urls, ev.Request.URL+ev.Request.URLFragment)
		if u, err := url.Parse(ev.Request.URL); err == nil {
			b.mu.Lock()
			b.asked[u.Scheme+"://"+u.Host+u.Path] = true
			b.mu.Unlock()
		}
	case *network.EventRequestWillBeSentExtraInfo:
		for name, value := range ev.Headers {
			text := fmt.Sprint(value)
			switch {
			case strings.EqualFold(name, "Referer"):
				chrome.wire.note(chrome.wire.referers, text)
			case strings.EqualFold(name, "Cookie"):
				chrome.wire.note(chrome.wire.cookies, text)
			}
		}
	case *network.EventResponseReceived:
		if ev.Type == network.ResourceTypeDocument {
			b.mu.Lock()
			b.answer = ev.Response
			b.mu.Unlock()
		}
	}
}
