package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/textproto"

	"github.com/wneessen/go-mail"
)

// stages name what the relay was asked when it refused (RFC 5321 §4.1.1).
var stages = map[mail.SendErrReason]string{
	mail.ErrGetSender: "sender", mail.ErrGetRcpts: "recipient", mail.ErrSMTPMailFrom: "mail_from", mail.ErrSMTPRcptTo: "rcpt_to",
	mail.ErrSMTPData: "data", mail.ErrSMTPDataClose: "data_end", mail.ErrSMTPReset: "reset", mail.ErrWriteContent: "content",
	mail.ErrConnCheck: "connection", mail.ErrNoUnencoded: "encoding",
}

// reason says for the log why a mail did not go out: the stage, the reply code and the enhanced status code (RFC 3463).
// Never the text of an error from there: relays repeat addresses in it, and so does the library.
func reason(err error) slog.Value {
	var send *mail.SendError
	var reply *textproto.Error
	switch {
	case errors.As(err, &send):
		stage := stages[send.Reason]
		if stage == "" {
			stage = "send"
		}
		return slog.GroupValue(slog.String("stage", stage), slog.Int("code", send.ErrorCode()), slog.String("status", send.EnhancedStatusCode()))
	case errors.As(err, &reply):
		return slog.GroupValue(slog.String("stage", "greeting"), slog.Int("code", reply.Code))
	}
	return slog.GroupValue(slog.String("stage", "connect"), slog.String("cause", network(err)))
}

// unreached reports whether a mail was not even refused: there was no connection that could carry it.
func unreached(err error) bool {
	var send *mail.SendError
	return err != nil && (!errors.As(err, &send) || send.Reason == mail.ErrConnCheck)
}

// network is the kind of an error before the relay said anything.
func network(err error) string {
	var (
		name *net.DNSError
		cert *tls.CertificateVerificationError
		op   *net.OpError
		wait net.Error
	)
	switch {
	case errors.As(err, &cert):
		return "certificate"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &wait) && wait.Timeout():
		return "timeout"
	case errors.As(err, &name):
		return "name_unknown"
	case errors.As(err, &op):
		return op.Op + "_failed"
	}
	return "failed"
}
