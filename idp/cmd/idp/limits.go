package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ellis.example/idp/internal/config"
	"ellis.example/idp/internal/rate"
	"ellis.example/idp/internal/throttle"
)

// burstSeconds is how much of its rate a network may use at once.
const burstSeconds = 60

// limitFlags are how much strangers may cost.
func limitFlags(f *pflag.FlagSet) {
	f.Int("begin-rate", 10, "sign-ins that one network may begin a second, and a minute's worth at once; 0: any number")
	f.Int("form-rate", 10, "forms that one network may send a second without being signed in, and a minute's worth at once; 0: any number")
	f.Int("failure-rate", 10, "failed client authentications and tokens of one network a second, and a minute's worth at once; 0: any number")
	f.Int("signup-mails-network", 100, "sign-up mails that one network may ask for an hour; 0: any number")
	f.Int("signup-mails", 2000, "sign-up mails that all networks together may ask for an hour; 0: any number")
	f.Int("mail-queue", 10_000, "mails that may wait to be sent before sign-up asks for no more; 0: any number")
}

// readLimits reads limitFlags. Errors: *config.Error.
func readLimits(cmd *cobra.Command) (l throttle.Limits, err error) {
	whole := func(name string) int {
		n, bad := cmd.Flags().GetInt(name)
		if bad == nil && n < 0 {
			bad = &config.Error{Where: "--" + name, Problem: "write 0 or more"}
		}
		if err == nil {
			err = bad
		}
		return n
	}
	second := func(name string) rate.Limit {
		n := whole(name)
		return rate.PerSecond(n, n*burstSeconds)
	}
	l = throttle.Limits{
		Begin: second("begin-rate"), Form: second("form-rate"), Failure: second("failure-rate"),
		SignUpMail: rate.PerHour(whole("signup-mails-network")), SignUpMails: rate.PerHour(whole("signup-mails")), MailQueue: whole("mail-queue"),
	}
	return l, err
}
