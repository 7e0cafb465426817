package pages

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"ellis.example/idp/internal/clock"
	"ellis.example/idp/internal/ident"
	"ellis.example/idp/internal/session"
	"ellis.example/idp/internal/web"
)

// deviceAsker notes whose devices are asked for, and knows none.
type deviceAsker struct {
	Store
	asked []string
}

func (d *deviceAsker) Device(_ context.Context, account string, _ [32]byte) (session.Device, error) {
	d.asked = append(d.asked, account)
	return session.Device{}, session.ErrNoDevice
}

func TestKnownDevice_ANameWithoutAnAccountCostsTheSameQuery(t *testing.T) {
	t.Parallel()
	issuer := &url.URL{Scheme: "http", Host: "127.0.0.1"}
	clk := clock.NewFake(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	store := &deviceAsker{}
	p := &Pages{Deps: Deps{Store: store, Clock: clk, Edge: web.NewEdge(web.Config{Issuer: issuer})}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/signin", nil)
	r.AddCookie(&http.Cookie{Name: "idp_device", Value: ident.NewToken(ident.DeviceCookie)})
	for _, account := range []string{"acc_1", ""} {
		if known, err := p.knownDevice(r, account); known || err != nil {
			t.Errorf("%q: %v, %v", account, known, err)
		}
	}
	if !slices.Equal(store.asked, []string{"acc_1", ""}) {
		t.Errorf("the devices of %q were asked for", store.asked)
	}
}
