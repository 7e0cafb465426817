package mailbox

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	maxMessage    = 1 << 20 // bytes
	maxRecipients = 50
	smtpTimeout   = 30 * time.Second
)

// ServeSMTP takes mail from l until ctx ends (RFC 5321). It asks for no authentication and offers no TLS.
func (b *Box) ServeSMTP(ctx context.Context, l net.Listener) error {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }))
	s.Domain = "localhost"
	s.MaxMessageBytes, s.MaxRecipients = maxMessage, maxRecipients
	s.ReadTimeout, s.WriteTimeout = smtpTimeout, smtpTimeout
	s.EnableSMTPUTF8 = true
	s.ErrorLog = log.New(io.Discard, "", 0) // a client that hangs up is no news
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) && ctx.Err() == nil {
		return err
	}
	return nil
}

// session is one connection. Its methods are called one after the other.
type session struct {
	box *Box
	to  []string
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.to = nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	m, err := parse(r)
	if errors.Is(err, smtp.ErrDataTooLarge) {
		return err
	}
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "the message cannot be read: " + err.Error()}
	}
	s.box.put(m, s.to)
	return nil
}
