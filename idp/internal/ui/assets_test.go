package ui_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"ellis.example/idp/internal/ui"
)

func get(t *testing.T, method, target string, encodings string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(method, target, nil)
	req.Header.Set("Accept-Encoding", encodings)
	rec := httptest.NewRecorder()
	ui.Assets().ServeHTTP(rec, req)
	return rec.Result()
}

func TestAssets_AreServedForeverUnderTheirHash(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"uswds.css": "text/css; charset=utf-8", "ellis.css": "text/css; charset=utf-8", "submit.js": "text/javascript; charset=utf-8",
		"ellis.svg": "image/svg+xml", "sourcesanspro-regular-webfont.woff2": "font/woff2", "OFL-1.1.txt": "text/plain; charset=utf-8",
	}
	for name, kind := range kinds {
		resp := get(t, http.MethodGet, ui.AssetPath(name), "")
		body, _ := io.ReadAll(resp.Body)
		want, err := os.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind || string(body) != string(want) {
			t.Errorf("%s: %d %s, %d bytes", name, resp.StatusCode, resp.Header.Get("Content-Type"), len(body))
		}
		if cc := resp.Header.Get("Cache-Control"); !strings.Contains(cc, "immutable") {
			t.Errorf("%s: Cache-Control %q", name, cc)
		}
	}
}

func TestAssets_ArePackedForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	resp := get(t, http.MethodGet, ui.AssetPath("uswds.css"), "gzip, br")
	z, err := gzip.NewReader(resp.Body)
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatal(err, resp.Header)
	}
	body, err := io.ReadAll(z)
	if want, _ := os.ReadFile("assets/uswds.css"); err != nil || string(body) != string(want) {
		t.Error("unpacked differently", err)
	}
}

func TestAssets_RefuseWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/assets/", "/assets/0000/uswds.css", ui.AssetPath("none.css"), ui.AssetPath("../render.go"), ui.AssetPath("")} {
		if resp := get(t, http.MethodGet, target, ""); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
	if resp := get(t, http.MethodPost, ui.AssetPath("uswds.css"), ""); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	if resp := get(t, http.MethodHead, ui.AssetPath("uswds.css"), ""); resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}
}

func TestAssets_StyleSheetsNameOnlyFilesThatAreThere(t *testing.T) {
	t.Parallel()
	reference := regexp.MustCompile(`url\(([^)]+)\)`)
	for _, sheet := range []string{"uswds.css", "ellis.css"} {
		data, err := os.ReadFile("assets/" + sheet)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reference.FindAllStringSubmatch(string(data), -1) {
			if path.Base(m[1]) != m[1] {
				t.Errorf("%s names %q", sheet, m[1])
			}
			if resp := get(t, http.MethodGet, ui.AssetPath(m[1]), ""); resp.StatusCode != http.StatusOK {
				t.Errorf("%s needs %q: %d", sheet, m[1], resp.StatusCode)
			}
		}
	}
}
