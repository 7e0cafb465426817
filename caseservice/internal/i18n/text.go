package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Key names a message of the catalogue: lower-case words joined by dots. Keys are stable; texts may change.
type Key string

//go:embed catalogue/*.json
var files embed.FS

// speakers holds one localizer per language. The catalogues are embedded and tested: that they load is an invariant.
var speakers = sync.OnceValue(func() map[Lang]*i18n.Localizer {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	out := map[Lang]*i18n.Localizer{}
	for _, l := range Languages() {
		if _, err := bundle.LoadMessageFileFS(files, "catalogue/"+string(l)+".json"); err != nil {
			panic("i18n: embedded catalogue: " + err.Error())
		}
		out[l] = i18n.NewLocalizer(bundle, string(l))
	}
	return out
})

// keys holds what each catalogue has by itself, without falling back to another language.
var keys = sync.OnceValue(func() map[Lang]map[Key]json.RawMessage {
	out := map[Lang]map[Key]json.RawMessage{}
	for _, l := range Languages() {
		data, err := files.ReadFile("catalogue/" + string(l) + ".json")
		var own map[Key]json.RawMessage
		if err == nil {
			err = json.Unmarshal(data, &own)
		}
		if err != nil {
			panic("i18n: embedded catalogue: " + err.Error())
		}
		out[l] = own
	}
	return out
})

// Load reads the catalogues now instead of at the first text, so that start-up pays for it.
func Load() { speakers(); keys() }

// Has reports whether this language's catalogue has the key.
func (l Lang) Has(key Key) bool {
	_, ok := keys()[l][key]
	return ok
}

// Text returns the message in this language. args are name, value, name, value for its places; a place named Count that
// holds an int chooses the plural form; times and durations are written as the language does. A key that no catalogue
// has comes back as itself.
func (l Lang) Text(key Key, args ...any) string {
	data, count := l.places(args)
	text, err := l.speaker().Localize(&i18n.LocalizeConfig{MessageID: string(key), TemplateData: data, PluralCount: count})
	if err != nil && text == "" && count != nil { // a message without plural forms
		text, err = l.speaker().Localize(&i18n.LocalizeConfig{MessageID: string(key), TemplateData: data})
	}
	if err != nil && text == "" {
		return string(key)
	}
	return text
}

func (l Lang) speaker() *i18n.Localizer {
	if s, ok := speakers()[l]; ok {
		return s
	}
	return speakers()[English]
}

// places turns name, value pairs into template data and finds the plural operand.
func (l Lang) places(args []any) (data map[string]any, count any) {
	if len(args) == 0 {
		return nil, nil
	}
	data = make(map[string]any, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		name := fmt.Sprint(args[i])
		data[name] = l.place(args[i+1])
		if n, ok := args[i+1].(int); ok && name == "Count" {
			count = n
		}
	}
	return data, count
}

// place writes what has a form of its own in each language.
func (l Lang) place(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return l.Duration(v)
	case time.Time:
		return l.Date(v)
	case Key:
		return l.Text(v)
	}
	return v
}
