package pages

import (
	"net/http"
	"time"

	"ellis.example/idp/internal/account"
	"ellis.example/idp/internal/i18n"
	"ellis.example/idp/internal/notify"
	"ellis.example/idp/internal/ui"
	"ellis.example/idp/internal/web"
)

// newsWorthFor is how long a mail that only tells something is tried.
const newsWorthFor = 48 * time.Hour

// url makes an absolute URL below the issuer: never of anything that a request says.
func (p *Pages) url(path string) string { return p.Issuer.JoinPath("/").String() + path[1:] }

func (p *Pages) mailBase(a account.Account) ui.MailBase {
	return ui.MailBase{GivenName: a.GivenName, Email: a.Email, AccountURL: p.url("/account"), HelpURL: p.url("/help")}
}

func (p *Pages) where(r *http.Request) ui.Where {
	info := web.Info(r.Context())
	return ui.Where{At: p.Clock.Now(), UserAgent: info.UserAgent, IP: info.IP}
}

// mail composes a mail to the owner of an account, in their language.
func (p *Pages) mail(a account.Account, m ui.MailMessage) (notify.Queue, error) {
	lang, _ := i18n.Parse(a.Locale)
	return p.compose(a.ID, a.Email, lang, m, newsWorthFor)
}

func (p *Pages) compose(account, to string, lang i18n.Lang, m ui.MailMessage, worthFor time.Duration) (notify.Queue, error) {
	subject, text, html, err := p.Renderer.Mail(lang, m)
	if err != nil {
		return notify.Queue{}, err
	}
	return notify.Compose(p.Seal, notify.Message{
		Account: account, Template: m.MailTemplate(), To: to, Lang: string(lang), Subject: subject, Text: text, HTML: html,
	}, p.Clock.Now(), worthFor)
}
