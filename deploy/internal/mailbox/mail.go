package mailbox

import (
	"errors"
	"io"
	"mime"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Mail is one mail to one recipient.
type Mail struct {
	ID      string    `json:"id"`
	To      string    `json:"to"`   // whom the envelope names, so that blind copies are seen too
	From    string    `json:"from"` // as the header has it, with the name
	Subject string    `json:"subject"`
	At      time.Time `json:"at"` // when it came, UTC
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	Links   []string  `json:"links"` // http and https, each once, in the order of the text and then of the HTML
}

// size is what a mail counts against the bound of a box, in bytes.
func (m *Mail) size() int {
	n := len(m.ID) + len(m.To) + len(m.From) + len(m.Subject) + len(m.Text) + len(m.HTML)
	for _, l := range m.Links {
		n += len(l)
	}
	return n
}

// parse reads a message (RFC 5322, MIME). What is neither plain text nor HTML is passed over.
func parse(r io.Reader) (Mail, error) {
	mr, err := mail.CreateReader(r)
	if err != nil && !message.IsUnknownCharset(err) {
		return Mail{}, err
	}
	m := Mail{From: decode(mr.Header.Get("From")), Subject: decode(mr.Header.Get("Subject"))}
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !message.IsUnknownCharset(err) {
			return Mail{}, err
		}
		if err := m.take(p); err != nil {
			return Mail{}, err
		}
	}
	m.Links = m.links()
	return m, nil
}

func (m *Mail) take(p *mail.Part) error {
	h, ok := p.Header.(*mail.InlineHeader)
	if !ok {
		return nil
	}
	kind, _, _ := h.ContentType()
	if kind != "text/plain" && kind != "text/html" {
		return nil
	}
	b, err := io.ReadAll(p.Body)
	if err != nil {
		return err
	}
	body := strings.ToValidUTF8(strings.ReplaceAll(string(b), "\r\n", "\n"), "\uFFFD")
	if kind == "text/html" {
		m.HTML += body
	} else {
		m.Text += body
	}
	return nil
}

// decode reads the encoded words of a header (RFC 2047); what cannot be read stays as it is.
func decode(s string) string {
	if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		s = d
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

var inText = regexp.MustCompile(`https?://[^\s<>"]+`)

// textLinks finds where the links of a plain text begin and end. A full stop, comma or bracket behind a link is not of it.
func textLinks(text string) [][]int {
	found := inText.FindAllStringIndex(text, -1)
	for _, f := range found {
		f[1] = f[0] + len(strings.TrimRight(text[f[0]:f[1]], ".,;:!?)]}'"))
	}
	return found
}

func (m *Mail) links() []string {
	all := []string{}
	add := func(l string) {
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	for _, f := range textLinks(m.Text) {
		add(m.Text[f[0]:f[1]])
	}
	if m.HTML == "" {
		return all
	}
	z := html.NewTokenizer(strings.NewReader(m.HTML))
	for z.Next() != html.ErrorToken {
		t := z.Token()
		if t.DataAtom != atom.A {
			continue
		}
		for _, a := range t.Attr {
			if a.Key == "href" && inText.MatchString(a.Val) {
				add(a.Val)
			}
		}
	}
	return all
}
