// Command reference writes docs/reference/metrics.md, configuration.md and commands.md from what the programs say of
// themselves, so that no metric, setting or command is without a line there.
//
//	go run ./deploy/internal/reference [-check] [-root DIR]
//
// With -check it writes nothing and fails when a page is out of date. It builds and runs the programs of the checkout.
package main
