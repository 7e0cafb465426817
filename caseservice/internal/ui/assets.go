package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets style
var assetFiles embed.FS

// asset is one file as it is served.
type asset struct {
	kind   string
	plain  []byte
	packed func() []byte // gzip, made when somebody first asks: all at once were half of a start; nil where that is no smaller
}

// assetSet is everything below /assets/. One hash names the whole set, so that a style sheet can name its fonts
// relatively, and a replica of another build never answers for it.
type assetSet struct {
	prefix string
	files  map[string]asset
}

var assets = sync.OnceValue(readAssets)

func readAssets() assetSet {
	set, sum := assetSet{files: map[string]asset{}}, sha256.New()
	err := fs.WalkDir(assetFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assetFiles.ReadFile(name)
		one := sha256.Sum256(data)
		sum.Write([]byte(path.Base(name)))
		sum.Write(one[:])
		set.files[path.Base(name)] = asset{kindOf(name), data, sync.OnceValue(func() []byte { return pack(name, data) })}
		return err
	})
	if err != nil {
		panic("ui: embedded assets: " + err.Error())
	}
	set.prefix = "/assets/" + hex.EncodeToString(sum.Sum(nil)[:10]) + "/"
	return set
}

// kindOf is explicit: the types known to the machine must not decide what browsers do with our files.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	}
	return "text/plain; charset=utf-8"
}

// pack compresses what gains by it; fonts are compressed already.
func pack(name string, data []byte) []byte {
	if path.Ext(name) == ".woff2" {
		return nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil || z.Close() != nil || b.Len() >= len(data)*9/10 {
		return nil
	}
	return b.Bytes()
}

// AssetPath returns the address of an embedded file: "/assets/<content hash>/<name>".
func AssetPath(name string) string { return assets().prefix + name }

// Assets serves /assets/<content hash>/<name>. An answer never changes, so browsers keep it for a year and do not ask
// again; any other hash is 404, because this build cannot say what it would hold. Paths begin with "/assets/".
func Assets() http.Handler {
	set := assets()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, set.prefix)
		f, known := set.files[name]
		if !ok || !known {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		f.serve(w, r)
	})
}

func (f asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	data := f.plain
	if packed := f.packed(); packed != nil {
		h.Add("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			data = packed
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(data) // a reader that went away
}
