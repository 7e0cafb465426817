package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	pollPage = 15 * time.Millisecond
	pageTime = 20 * time.Second // for one page to come, whatever else the machine does
)

// tab is a tab of Chromium in the hands of somebody who looks, clicks and types.
type tab struct {
	t       *testing.T
	ctx     context.Context
	profile *profile

	mu     sync.Mutex
	answer *network.Response // of the last document
	asked  map[string]bool   // addresses without their queries
}

// eval returns the value of an expression in the page; it works where pages may run no scripts, too.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("on %s: %v\nin %s", b.URL(), err, expression)
	}
	return v
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("on %s: %v", b.URL(), err)
	}
}

func (b *tab) setScripts(on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}

// size changes the window, in CSS pixels.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// Open goes to an address, relative to the page.
func (b *tab) Open(ref string) {
	b.t.Helper()
	if u, err := url.Parse(b.URL()); err == nil && strings.HasPrefix(ref, "/") {
		ref = u.Scheme + "://" + u.Host + ref
	}
	b.leave(func() { b.do(chromedp.Navigate(ref)) })
}

// URL is the address of the page.
func (b *tab) URL() string {
	b.t.Helper()
	u, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// Status is the status of the page's answer.
func (b *tab) Status() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer == nil {
		return 0
	}
	return int(b.answer.Status)
}

// visited are the addresses that the tab asked for, without their queries.
func (b *tab) visited() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.asked))
}

// HTML is the page as it is now.
func (b *tab) HTML() string { return eval[string](b, `document.documentElement.outerHTML`) }

// Text is what can be read, white space folded.
func (b *tab) Text() string {
	return strings.Join(strings.Fields(eval[string](b, `document.body ? document.body.innerText : ""`)), " ")
}

// Heading is the text of the page's h1.
func (b *tab) Heading() string {
	return strings.Join(strings.Fields(eval[string](b, `document.querySelector("h1") ? document.querySelector("h1").innerText : ""`)), " ")
}

// leave does something that leads to another document, and waits until that is there.
func (b *tab) leave(how func()) {
	b.t.Helper()
	eval[bool](b, `(window.ellisLeft = true)`)
	how()
	deadline := time.Now().Add(pageTime)
	for {
		arrived, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`!window.ellisLeft && document.readyState === "complete" && location.href !== "about:blank"`))
		if err == nil && arrived {
			return
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			b.t.Fatalf("no new page came after %s (%v); it says: %s", b.URL(), err, short(b.Text()))
		}
		time.Sleep(pollPage)
	}
}

// find is the script that finds the button that the agent's Submit would press, and brings it into view.
const find = `(function(part, names) {
	for (const f of document.forms) {
		if (!names.every(n => f.elements.namedItem(n))) continue;
		const all = [...f.querySelectorAll("button:not([type=button]):not([type=reset]):not([disabled])")];
		let b = all.find(b => b.textContent.includes(part) || b.value === part || b.name === part);
		if (!b && (f.getAttribute("action") || "").includes(part)) b = all[0];
		if (b) { window.ellisForm = f; return b; }
	}
})`

// Submit fills the first form that has all the named fields and presses its first button, or the one whose name, value,
// text or form's action contains part.
func (b *tab) Submit(part string, fields map[string]string) {
	b.t.Helper()
	b.fill(part, fields)
	b.leave(func() { b.click(b.button(part, fields)) })
}

// button is an expression for the button of a form.
func (b *tab) button(part string, fields map[string]string) string {
	names := []string{}
	for n := range fields {
		names = append(names, n)
	}
	args, _ := json.Marshal([]any{part, names}) // texts only
	return fmt.Sprintf(`%s(...%s)`, find, args)
}

// fill types into the fields of a form.
func (b *tab) fill(part string, fields map[string]string) {
	b.t.Helper()
	if !eval[bool](b, `!!`+b.button(part, fields)) {
		b.t.Fatalf("no form with button %q and fields %v on %s: %s", part, fields, b.URL(), short(b.Text()))
	}
	for name, value := range fields {
		b.set(name, value)
	}
}

// set puts a value into one field of the form that button found.
func (b *tab) set(name, value string) {
	b.t.Helper()
	n, _ := json.Marshal(name)
	v, _ := json.Marshal(value)
	kind := eval[string](b, fmt.Sprintf(`(function(n, v) {
		let e = window.ellisForm.elements.namedItem(n);
		if (e instanceof RadioNodeList || e.type === "checkbox" || e.type === "radio") {
			for (const r of e instanceof RadioNodeList ? e : [e]) if (r.value === v) r.checked = true;
			return "set";
		}
		if (e.tagName === "SELECT") { e.value = v; return e.value === v ? "set" : "no such option"; }
		if (e.type === "hidden") { e.value = v; return "set"; }
		e.focus(); e.select();
		return document.activeElement === e ? "type" : "it takes no focus";
	})(%s, %s)`, n, v))
	switch kind {
	case "set":
	case "type":
		b.write(value)
	default:
		b.t.Fatalf("field %s on %s: %s", name, b.URL(), kind)
	}
}

// write replaces what is selected in the field that has the focus.
func (b *tab) write(value string) {
	b.t.Helper()
	if value == "" {
		b.do(chromedp.KeyEvent("\b"))
		return
	}
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: value})
		return err
	}))
}

// click presses the left button on an element, given as an expression, where it can be seen.
func (b *tab) click(element string) {
	b.t.Helper()
	at := eval[[]float64](b, fmt.Sprintf(`(function(e) {
		if (!e) return [];
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getClientRects()[0];
		if (!r) return [];
		const x = r.left + r.width / 2, y = r.top + r.height / 2, top = document.elementFromPoint(x, y);
		return top && (e === top || e.contains(top) || top.contains(e)) ? [x, y] : [];
	})(%s)`, element))
	if len(at) != 2 {
		b.t.Fatalf("on %s, nothing can be clicked that is %s: %s", b.URL(), element, short(b.Text()))
	}
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// link is an expression for the first link whose text or target contains part.
func link(part string) string {
	p, _ := json.Marshal(part)
	return fmt.Sprintf(`[...document.links].find(a => a.textContent.includes(%[1]s) || a.getAttribute("href").includes(%[1]s))`, p)
}

// Follow clicks the first link whose text or target contains part.
func (b *tab) Follow(part string) {
	b.t.Helper()
	if !eval[bool](b, `!!`+link(part)) {
		b.t.Fatalf("no link with %q on %s: %s", part, b.URL(), short(b.Text()))
	}
	if menu := `(e => e && e.closest("details:not([open])"))(` + link(part) + `)`; eval[bool](b, `!!`+menu) {
		b.click(menu + `.querySelector("summary")`)
	}
	b.leave(func() { b.click(link(part)) })
}

// press types keys that do something: Tab, Enter, Space.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}
