package ui

import (
	"fmt"
	"image/color"
	"regexp"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

var run = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

func TestQRCode_DrawsEveryModuleOnceInsideAQuietZone(t *testing.T) {
	t.Parallel()
	uri := "otpauth://totp/Ellis:ana%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Ellis"
	drawing, err := qrCode(uri, `a "label" & <more>`)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(uri, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	for _, m := range run.FindAllStringSubmatch(string(drawing), -1) {
		var x, y, w, back int
		if _, err := fmt.Sscan(m[1]+" "+m[2]+" "+m[3]+" "+m[4], &x, &y, &w, &back); err != nil || w != back {
			t.Fatalf("path %q: %v", m[0], err)
		}
		for i := range w {
			if black[[2]int{x + i, y}] {
				t.Errorf("module %d,%d twice", x+i, y)
			}
			black[[2]int{x + i, y}] = true
		}
	}
	side := code.Bounds().Dx()
	for y := -quiet; y < side+quiet; y++ {
		for x := -quiet; x < side+quiet; x++ {
			inside := x >= 0 && y >= 0 && x < side && y < side
			if want := inside && code.At(x, y) == color.Black; black[[2]int{x + quiet, y + quiet}] != want {
				t.Fatalf("module %d,%d: black is %v", x, y, !want)
			}
		}
	}
	if !strings.Contains(string(drawing), `aria-label="a &#34;label&#34; &amp; &lt;more&gt;"`) || strings.Contains(string(drawing), "style") {
		t.Errorf("label or style: %.200s", drawing)
	}
}

func TestAgent_NamesBrowserAndSystem(t *testing.T) {
	t.Parallel()
	w := words{"en", Brand{}}
	cases := map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":              "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                            "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                      "Safari on macOS",
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0":                                                                     "Firefox on Linux",
		"curl/8.0": "curl",
		"":         "Unknown browser",
		"<script>": "Unknown browser",
	}
	for header, want := range cases {
		if got := w.agent(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func TestAppURL_PassesAppsAndStopsWhatRuns(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"https://a.example/cb?x=1": "https://a.example/cb?x=1", "com.example.app:/cb": "com.example.app:/cb", "/account": "/account",
		"http://127.0.0.1:5000/": "http://127.0.0.1:5000/", "otpauth://totp/a": "otpauth://totp/a",
		"javascript:alert(1)": "#", "JAVASCRIPT:x": "#", "data:text/html,x": "#", "blob:https://x": "#", "file:///etc/passwd": "#", "java\nscript:x": "#", " javascript:x": "#", "%zz": "#",
	}
	for in, want := range cases {
		if got := string(appURL(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func BenchmarkRender_SignIn(b *testing.B) {
	r, err := New(Brand{})
	if err != nil {
		b.Fatal(err)
	}
	page := SignIn{Base: Base{CSRF: "x", Here: "/signin"}, App: &App{Name: "Case portal", Host: "portal.example"}, SignupURL: "/signup"}
	var sink strings.Builder
	for b.Loop() {
		sink.Reset()
		if err := r.Render(&sink, "es", page); err != nil {
			b.Fatal(err)
		}
	}
}
