package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// TestAttack_D08_NoPageShowsInAFrame puts pages of everything into frames of another site, and one of the hostile site's own
// to see that frames would show.
func TestAttack_D08_NoPageShowsInAFrame(t *testing.T) {
	t.Parallel()
	for _, signedIn := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed in %t", signedIn), func(t *testing.T) {
			t.Parallel()
			v := chrome.with(t, true).tab()
			if signedIn {
				newPerson(t, "en").settle(v, false)
			}
			for _, address := range []string{
				rp.authorize(map[string]string{"prompt": "consent"}), demo.Issuer + "/signin", demo.Issuer + "/signup", demo.Issuer + "/account", demo.Issuer + "/logout",
				demo.Issuer + "/no-such-page", demo.Issuer + "/help", demo.Portal + "/", demo.Portal + "/cases", demo.Portal + "/no-such-page", demo.Mailbox + "/",
			} {
				v.Open(rp.page(t, fmt.Sprintf(`<iframe src=%q></iframe>`, address)))
				if where := v.framed(); !strings.HasPrefix(where, "chrome-error:") {
					t.Errorf("%s shows in a frame of another site, at %s", address, where)
				}
			}
			v.Open(rp.page(t, fmt.Sprintf(`<iframe src="%s/bye"></iframe>`, rp.own())))
			if where := v.framed(); where != rp.own()+"/bye" {
				t.Errorf("a page that may be framed is at %s: this test shows nothing", where)
			}
		})
	}
}

// framed returns where the one frame of the page is: Chromium shows a page of its own where one was refused.
func (b *tab) framed() string {
	b.t.Helper()
	for deadline := time.Now().Add(pageTime); time.Now().Before(deadline); time.Sleep(pollPage) {
		all, err := chromedp.CallBrowser(b.ctx, target.GetTargets, target.GetTargetsParams{})
		if err != nil {
			b.t.Fatal(err)
		}
		of := map[string]target.ID{} // address of a page: its target
		for _, one := range all.TargetInfos {
			if one.Type == "page" {
				of[one.URL] = one.TargetID
			}
		}
		for _, one := range all.TargetInfos {
			if one.Type == "iframe" && one.ParentID == of[b.URL()] {
				ctx, leave := chromedp.NewContext(b.ctx, chromedp.WithTargetID(one.TargetID), chromedp.WithDetachOnCancel())
				defer leave() //nolint:revive // the loop ends here
				return eval[string](&tab{t: b.t, ctx: ctx, profile: b.profile}, `location.href`)
			}
		}
	}
	b.t.Fatalf("on %s there is no frame", b.URL())
	return ""
}

// TestAttack_A14_FormPostArrivesUnderThePolicy lets the answer come by a form that posts itself where scripts run, and by its
// button where they do not: the page's policy allows the app's address and nothing else.
func TestAttack_A14_FormPostArrivesUnderThePolicy(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string]bool{"with scripts": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, p, state := chrome.with(t, scripts).tab(), newPerson(t, "en"), "form-post "+name
			p.settle(v, false)
			v.Open(rp.authorize(map[string]string{"response_mode": "form_post", "state": state, "redirect_uri": rp.other() + "/callback"}))
			v.Submit("allow", nil)
			if !scripts {
				at(t, v, "/authorize")
				v.Submit(rp.other(), nil)
			}
			got := rp.arrived(t, "state", state)
			if got.Method != http.MethodPost || got.Values.Get("code") == "" || got.Values.Get("iss") != demo.Issuer {
				t.Errorf("the app got %+v", got)
			}
			if got.Header.Get("Referer") != "" || strings.Contains(got.Path, "?") {
				t.Errorf("the answer is told in an address: %+v", got)
			}
			secrets.add("authorization code", got.Values.Get("code"))
		})
	}
}

// TestAttack_D06_FormsOfOtherSitesDoNothing posts from another site what only the person may do.
func TestAttack_D06_FormsOfOtherSitesDoNothing(t *testing.T) {
	t.Parallel()
	v, p := chrome.with(t, true).tab(), newPerson(t, "en")
	p.settle(v, false)
	for _, address := range []string{demo.Issuer + "/account/sessions/end", demo.Issuer + "/signout", demo.Issuer + "/account/profile", demo.Issuer + "/language", demo.Portal + "/claim", demo.Portal + "/language"} {
		v.Open(rp.page(t, fmt.Sprintf(`<form method=post action=%q><input type=hidden name=lang value=es><input type=hidden name=given_name value=Mallory><button>Win</button></form>`, address)))
		v.Submit("Win", nil)
		if u, err := url.Parse(v.URL()); err != nil || v.Status() < http.StatusBadRequest && !strings.HasSuffix(u.Path, "/signin") && !strings.HasSuffix(u.Path, "/account") {
			t.Errorf("%s answers %d to a form of another site: %s", address, v.Status(), short(v.Text()))
		}
	}
	v.Open(demo.Issuer + "/account")
	if text := v.Text(); !strings.Contains(text, p.Given) || strings.Contains(text, "Mallory") {
		t.Errorf("another site's forms had an effect: %s", short(text))
	}
}
