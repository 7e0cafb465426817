package config_test

import (
	"strings"
	"testing"

	"ellis.example/idp/internal/config"
)

func TestWithoutPassword_ShowsWhereAndNeverWith(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "sqlite:/var/lib/x@y.db": "sqlite:/var/lib/x@y.db",
		"postgres://u:s3cret@h/db":                          "postgres://u:xxxxx@h/db",
		"postgres://u@h/db?password=s3cret&sslmode=disable": "postgres://u@h/db?password=xxxxx&sslmode=disable",
		"postgres://u:s3cret@a:1,b:2/db?sslPassword=s3cret": "postgres://u:xxxxx@a:1,b:2/db?sslPassword=xxxxx",
		"smtps://user:s3cret@mail.example":                  "smtps://user:xxxxx@mail.example",
		"smtps://user:12/s3cret@mail.example":               "(not a URL)",
		"smtps://user:12?s3cret@mail.example":               "(not a URL)",
		"smtps://user:12#s3cret@mail.example":               "(not a URL)",
		"postgres://u:s3c%ret@h/db":                         "(not a URL)",
		"host=h password=s3cret":                            "(not a URL)",
		"postgres:u:s3cret@h/db":                            "(not a URL)",
	} {
		if got := config.WithoutPassword(in); got != want || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %s", in, got)
		}
	}
}
