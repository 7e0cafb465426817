package agent

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Form is a form as the page holds it.
type Form struct {
	Method, Action string
	Values         map[string][]string // what it would send if nobody touched it
	Names          []string            // every named control
	Buttons        []Button
}

// Button is one that submits.
type Button struct{ Name, Value, Text string }

func (f Form) has(fields map[string]string) bool {
	for want := range fields {
		found := false
		for _, n := range f.Names {
			found = found || n == want
		}
		if !found {
			return false
		}
	}
	return true
}

// button finds the one that contains part, or the first.
func (f Form) button(part string) (Button, bool) {
	for _, b := range f.Buttons {
		if strings.Contains(b.Text, part) || b.Value == part || b.Name == part {
			return b, true
		}
	}
	if strings.Contains(f.Action, part) {
		if len(f.Buttons) > 0 {
			return f.Buttons[0], true
		}
		return Button{}, true
	}
	return Button{}, false
}

func (p *Page) walk(n *html.Node, text *strings.Builder) {
	switch n.Type {
	case html.TextNode:
		text.WriteString(n.Data)
		text.WriteByte(' ')
	case html.ElementNode:
		switch n.DataAtom {
		case atom.Script, atom.Style, atom.Head:
			if n.DataAtom == atom.Head {
				p.Title = strings.TrimSpace(content(find(n, atom.Title)))
			}
			return
		case atom.Html:
			p.Lang = attr(n, "lang")
		case atom.A:
			p.Links = append(p.Links, Link{Text: fold(content(n)), Href: attr(n, "href")})
		case atom.Form:
			p.Forms = append(p.Forms, readForm(n))
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.walk(c, text)
	}
}

func readForm(n *html.Node) Form {
	f := Form{Method: attr(n, "method"), Action: attr(n, "action"), Values: map[string][]string{}}
	f.controls(n)
	return f
}

func (f *Form) controls(n *html.Node) {
	if n.Type == html.ElementNode && !hasAttr(n, "disabled") {
		name := attr(n, "name")
		switch n.DataAtom {
		case atom.Input:
			f.input(n, name)
		case atom.Textarea:
			f.add(name, content(n))
		case atom.Select:
			f.add(name, selected(n))
		case atom.Button:
			if t := attr(n, "type"); t == "" || t == "submit" {
				f.Buttons = append(f.Buttons, Button{name, attr(n, "value"), fold(content(n))})
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		f.controls(c)
	}
}

func (f *Form) input(n *html.Node, name string) {
	switch typ := attr(n, "type"); typ {
	case "submit":
		f.Buttons = append(f.Buttons, Button{name, attr(n, "value"), attr(n, "value")})
	case "checkbox", "radio":
		f.Names = append(f.Names, name)
		if hasAttr(n, "checked") {
			f.add(name, attr(n, "value"))
		}
	case "button", "reset", "image", "file":
	default:
		f.add(name, attr(n, "value"))
	}
}

func (f *Form) add(name, value string) {
	if name != "" {
		f.Names = append(f.Names, name)
		f.Values[name] = append(f.Values[name], value)
	}
}

// selected is the chosen option's value, or the first one's.
func selected(n *html.Node) string {
	first, chosen, seen := "", "", false
	var visit func(*html.Node)
	visit = func(n *html.Node) {
		if n.Type == html.ElementNode && n.DataAtom == atom.Option {
			v := attr(n, "value")
			if !seen {
				first, seen = v, true
			}
			if hasAttr(n, "selected") {
				chosen = v
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c)
		}
	}
	visit(n)
	if chosen != "" {
		return chosen
	}
	return first
}

func find(n *html.Node, a atom.Atom) *html.Node {
	if n.Type == html.ElementNode && n.DataAtom == a {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if f := find(c, a); f != nil {
			return f
		}
	}
	return nil
}

func content(n *html.Node) string {
	if n == nil {
		return ""
	}
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(content(c))
	}
	return b.String()
}

func fold(s string) string { return strings.Join(strings.Fields(s), " ") }

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
