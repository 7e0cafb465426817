package epoch_test

import (
	"reflect"
	"testing"
	"time"

	"ellis.example/idp/internal/audit"
	"ellis.example/idp/internal/epoch"
)

// acc_1 may have been disabled again by a writer whose clock is behind: no event undoes what another took away.
func TestLater_NothingIsGivenBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	say := func(n int, typ, account, client string, detail map[string]string) audit.Stored {
		return audit.Stored{At: at.Add(time.Duration(n) * time.Second), Event: audit.Event{Type: typ, Outcome: audit.Allowed, Account: account, Client: client, Detail: detail}}
	}
	refused := say(9, "password.changed", "acc_9", "", nil)
	refused.Outcome = audit.Refused
	got := epoch.Later([]audit.Stored{
		say(4, "account.enabled", "acc_1", "", nil), say(3, "account.disabled", "acc_1", "", nil), say(5, "account.disabled", "acc_2", "", nil), refused,
		say(6, "consent.withdrawn", "acc_3", "web", nil), say(7, "consent.given", "acc_3", "web", nil), say(8, "consent.withdrawn", "acc_3", "spa", nil),
		say(1, "password.changed", "acc_4", "", nil), say(2, "factor.removed", "acc_4", "", nil),
		say(1, "signin.factor", "acc_5", "", map[string]string{"factor": "recovery_code"}), say(1, "signin.factor", "acc_6", "", map[string]string{"factor": "totp"}),
		say(1, "client.updated", "", "web", map[string]string{"secret": "changed"}), say(1, "client.deleted", "", "old", nil), say(1, "account.created", "acc_7", "", nil),
	})
	want := epoch.Replay{
		Events: 14, Locked: []string{"acc_4"}, Disabled: []string{"acc_1", "acc_2"}, Recovery: []string{"acc_5"}, Consents: []epoch.Withdrawn{{Account: "acc_3", Client: "web"}, {Account: "acc_3", Client: "spa"}},
		Secrets: []string{"web"}, Clients: []string{"old"}, Gone: []string{"acc_7"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
