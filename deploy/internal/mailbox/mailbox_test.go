package mailbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"reflect"
	"strings"
	"testing"
	"time"
)

const letter = "From: =?utf-8?q?Ellis_Identit=C3=A9?= <no-reply@ellis.example>\r\nTo: ana@example.com\r\n" +
	"Subject: =?utf-8?b?Q29uZmlybWUgc3UgZGlyZWNjacOzbg==?=\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"Abra <esto>: http://localhost:8080/signup?token=3Dab&x=3D1. Direcci=C3=B3n\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" +
	`<html lang="es"><head><title>t</title></head><body><script>alert(1)</script><a href="http://localhost:8080/signup?token=ab&amp;x=1">Abrir</a>` +
	`<a href="https://example.com/help">?</a><a href="javascript:alert(1)">no</a></body></html>` + "\r\n--b--\r\n"

// start serves a box and returns the addresses of its two sides.
func start(t *testing.T) (box *Box, smtpAddr, web string) {
	t.Helper()
	box = New(func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- box.ServeSMTP(ctx, l) }()
	s := httptest.NewServer(box.Handler())
	t.Cleanup(func() {
		s.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the receiver ended with %v", err)
		}
	})
	return box, l.Addr().String(), s.URL
}

func send(t *testing.T, addr, msg string, to ...string) {
	t.Helper()
	if err := smtp.SendMail(addr, nil, "no-reply@ellis.example", to, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestMessages_TellWhatASenderHandedOver(t *testing.T) {
	t.Parallel()
	_, addr, web := start(t)
	send(t, addr, letter, "ana@example.com", "hidden@example.com")
	send(t, addr, "From: a@example.com\r\nSubject: plain\r\n\r\nhello\r\n", "Ana@example.com")
	var all, hers []Mail
	_, body := get(t, web+"/messages.json")
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || all[0].Subject != "plain" || all[1].To != "hidden@example.com" || all[2].To != "ana@example.com" {
		t.Fatalf("not newest first, one for each recipient: %s", body)
	}
	got := all[2]
	want := Mail{
		ID: got.ID, To: "ana@example.com", From: "Ellis Identité <no-reply@ellis.example>", Subject: "Confirme su dirección",
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Text: "Abra <esto>: http://localhost:8080/signup?token=ab&x=1. Dirección",
		HTML: got.HTML, Links: []string{"http://localhost:8080/signup?token=ab&x=1", "https://example.com/help"},
	}
	if !reflect.DeepEqual(got, want) || !strings.Contains(got.HTML, "Abrir") {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	_, body = get(t, web+"/messages.json?to=ana@EXAMPLE.com")
	if err := json.Unmarshal([]byte(body), &hers); err != nil || len(hers) != 2 {
		t.Errorf("?to= gave %s (%v)", body, err)
	}
	if _, body = get(t, web+"/messages.json?to=nobody@example.com"); strings.TrimSpace(body) != "[]" {
		t.Errorf("nothing is %s", body)
	}
}

func TestMessages_HaveTheMembersThatReadersExpect(t *testing.T) {
	t.Parallel()
	_, addr, web := start(t)
	send(t, addr, "From: a@example.com\r\nSubject: plain\r\n\r\nhello\r\n", "b@example.com")
	_, body := get(t, web+"/messages.json")
	var raw []map[string]any
	if err := json.Unmarshal([]byte(body), &raw); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": "1", "to": "b@example.com", "from": "a@example.com", "subject": "plain",
		"at": "2026-03-01T12:00:00Z", "text": "hello\n", "html": "", "links": []any{}}
	if len(raw) != 1 || !reflect.DeepEqual(raw[0], want) {
		t.Errorf("got  %v\nwant %v", raw, want)
	}
}

func TestPages_ShowAMailWithoutRunningIt(t *testing.T) {
	t.Parallel()
	_, addr, web := start(t)
	if _, body := get(t, web+"/"); !strings.Contains(body, "No mail yet") {
		t.Errorf("an empty box shows %s", body)
	}
	send(t, addr, letter, "ana@example.com")
	if _, body := get(t, web+"/"); !strings.Contains(body, `<a href="/messages/1">Confirme su dirección</a>`) {
		t.Errorf("the list has no link to the mail: %s", body)
	}
	resp, body := get(t, web+"/messages/1")
	for _, part := range []string{
		`Abra &lt;esto&gt;: <a href="http://localhost:8080/signup?token=ab&amp;x=1">http://localhost:8080/signup?token=ab&amp;x=1</a>. Dirección`,
		`<iframe src="/messages/1/html" title="The mail as HTML" sandbox="allow-popups allow-popups-to-escape-sandbox">`,
	} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %s:\n%s", part, body)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); strings.Contains(csp, "script") || !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("our page's policy is %q", csp)
	}
	resp, body = get(t, web+"/messages/1/html")
	csp := resp.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'") || !strings.Contains(csp, "; sandbox ") || strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "script-src") {
		t.Errorf("the mail's policy is %q", csp)
	}
	if !strings.Contains(body, `<html lang="es"><head><base target="_blank"/>`) {
		t.Errorf("links would open inside the frame: %s", body)
	}
	if resp, _ := get(t, web+"/messages/99"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown mail answers %d", resp.StatusCode)
	}
}

func TestHandler_RefusesOtherHostNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]int{"localhost:8083": 200, "127.0.0.1": 200, "[::1]:8083": 200, "evil.example": 421, "10.0.0.1:8083": 421, "localhost.evil.example": 421} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/messages.json", nil)
		r.Host = host
		New(time.Now).Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

func TestBox_ForgetsTheOldest(t *testing.T) {
	t.Parallel()
	b := New(time.Now)
	for i := range maxMails + 10 {
		b.put(Mail{Subject: fmt.Sprint(i)}, []string{"a@example.com"})
	}
	if all := b.Mails(""); len(all) != maxMails || all[0].Subject != fmt.Sprint(maxMails+9) || all[maxMails-1].Subject != "10" {
		t.Errorf("%d mails are there, the oldest %q", len(all), all[len(all)-1].Subject)
	}
	for range 20 {
		b.put(Mail{Text: strings.Repeat("x", 1<<20)}, []string{"a@example.com"})
	}
	if n := len(b.Mails("")); n != 15 {
		t.Errorf("%d mails of 1 MiB are there", n)
	}
}

func TestReceiver_RefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	b, addr, _ := start(t)
	msg := "Subject: large\r\n\r\n" + string(bytes.Repeat([]byte(strings.Repeat("x", 70)+"\r\n"), maxMessage/70))
	if err := smtp.SendMail(addr, nil, "a@example.com", []string{"b@example.com"}, []byte(msg)); err == nil || len(b.Mails("")) != 0 {
		t.Errorf("a message of %d bytes was taken (%v)", len(msg), err)
	}
}
