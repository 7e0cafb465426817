//go:build !unix

package main

import (
	"context"
	"errors"
	"os/exec"
)

var errUnix = errors.New("the store postgres is measured on Unix only")

func (*postgres) command(context.Context, string, ...string) (*exec.Cmd, error) { return nil, errUnix }

func ownedByServer(string) error { return errUnix }
