package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// keyboard is Chromium in the hands of somebody who has no mouse: Tab and arrows move, Space and Enter press, and wherever
// the focus stops, it must be seen.
type keyboard struct{ *tab }

var _ visitor = keyboard{}

const maxStops = 120 // more than any page has

// stop describes what has the focus, and marks it as seen.
const stop = `(function() {
	const e = document.activeElement;
	if (!e || e === document.body || e === document.documentElement) return {};
	const s = getComputedStyle(e), r = e.getBoundingClientRect();
	const label = e.type === "radio" || e.type === "checkbox" ? getComputedStyle(document.querySelector('label[for="' + e.id + '"]'), "::before") : s;
	const ring = [s, label].some(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 || s.boxShadow !== "none");
	return {
		Tag: e.tagName, Name: e.name || "", Value: e.value || "", Type: e.type || "", Text: e.textContent.trim(), Href: e.getAttribute("href") || "",
		Action: e.form ? e.form.getAttribute("action") || "" : "", Ring: ring, Seen: r.width > 0 && r.height > 0 && r.bottom > 0 && r.top < innerHeight,
		Checked: !!e.checked, HTML: e.outerHTML.slice(0, 160), Fields: e.form ? [...e.form.elements].map(f => f.name).filter(Boolean) : [],
	};
})()`

type focused struct {
	Tag, Name, Value, Type, Text, Href, Action, HTML string
	Ring, Seen, Checked                              bool
	Fields                                           []string
}

// next moves the focus on and looks at where it is.
func (k keyboard) next() focused {
	k.t.Helper()
	k.press(kb.Tab)
	f := eval[focused](k.tab, stop)
	for deadline := time.Now().Add(2 * time.Second); f.Tag != "" && !f.Seen && time.Now().Before(deadline); f = eval[focused](k.tab, stop) {
		time.Sleep(pollPage) // the skip link glides in
	}
	if f.Tag != "" && !(f.Ring && f.Seen) {
		k.t.Errorf("on %s the focus cannot be seen (ring %v, in view %v) on %s", k.URL(), f.Ring, f.Seen, f.HTML)
	}
	return f
}

// Follow implements visitor.
func (k keyboard) Follow(part string) {
	k.t.Helper()
	for range maxStops {
		switch f := k.next(); {
		case f.Tag == "SUMMARY":
			if eval[bool](k.tab, `!!(e => e && e.closest("details:not([open])"))(`+link(part)+`)`) && eval[bool](k.tab, `document.activeElement.parentElement.contains(`+link(part)+`)`) {
				k.press(kb.Enter)
			}
		case f.Tag == "A" && (strings.Contains(f.Text, part) || strings.Contains(f.Href, part)):
			k.leave(func() { k.press(kb.Enter) })
			return
		}
	}
	k.t.Fatalf("no link with %q can be reached by Tab on %s: %s", part, k.URL(), short(k.Text()))
}

// Submit implements visitor.
func (k keyboard) Submit(part string, fields map[string]string) {
	k.t.Helper()
	left := map[string]string{}
	for n, v := range fields {
		left[n] = v
	}
	eval[bool](k.tab, `(document.activeElement.blur(), true)`) // a page with a field in focus has others before it
	for range 2 * maxStops {
		f := k.next()
		if !has(f.Fields, fields) {
			continue
		}
		if value, wanted := left[f.Name]; wanted {
			k.enter(f, value)
			delete(left, f.Name)
			continue
		}
		if f.Tag == "BUTTON" && len(left) == 0 && (strings.Contains(f.Text, part) || f.Value == part || f.Name == part || strings.Contains(f.Action, part)) {
			k.leave(func() { k.press(kb.Enter) })
			return
		}
	}
	k.t.Fatalf("no form with button %q and fields %v can be filled by keys on %s (left: %v): %s", part, fields, k.URL(), left, short(k.Text()))
}

func has(names []string, fields map[string]string) bool {
	for n := range fields {
		if !slices.Contains(names, n) {
			return false
		}
	}
	return true
}

// enter puts a value into the field that has the focus.
func (k keyboard) enter(f focused, value string) {
	k.t.Helper()
	switch {
	case f.Tag == "SELECT", f.Type == "radio":
		want, _ := json.Marshal(value)
		chosen := fmt.Sprintf(`(document.activeElement.value === %s && (document.activeElement.type !== "radio" || document.activeElement.checked))`, want)
		for range 260 { // there are many countries
			if eval[bool](k.tab, chosen) {
				return
			}
			k.press(kb.ArrowDown)
		}
		k.t.Fatalf("%s cannot be chosen by keys in %s", value, f.HTML)
	case f.Type == "checkbox":
		if !f.Checked {
			k.press(" ")
		}
	default:
		k.press(kb.Home)
		eval[bool](k.tab, `(document.activeElement.select && document.activeElement.select(), true)`)
		k.write(value)
	}
}

func TestMainJob_ByKeyboardAlone(t *testing.T) {
	t.Parallel()
	v, p, note := keyboard{chrome.with(t, true).tab()}, newPerson(t, "en"), demo.notice(t)
	p.comeFromPortal(v, "en")
	p.claim(v, note)
	p.leaveBoth(v)
}

// The first stop of every page leads past what all pages begin with.
func TestSkipLink_IsTheFirstStopAndLeadsToTheContent(t *testing.T) {
	t.Parallel()
	b := chrome.with(t, true).tab()
	k := keyboard{b}
	for _, page := range []string{demo.Portal + "/", demo.Portal + "/help", demo.Issuer + "/help", demo.Issuer + "/no-such-page"} {
		k.Open(page)
		if f := k.next(); f.Href != "#main" {
			t.Errorf("%s: the first stop is %s", page, f.HTML)
		}
		k.press(kb.Enter)
		if id := eval[string](b, `document.activeElement.id`); id != "main" {
			t.Errorf("%s: the skip link leads to %q", page, id)
		}
	}
}
