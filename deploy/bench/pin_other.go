//go:build !linux

package main

import (
	"time"

	"ellis.example/deploy/internal/launch"
)

// cores says who runs where: here, everybody anywhere.
type cores struct{}

func pin() (cores, error) { return cores{}, nil }

func (cores) own(s launch.Spec) launch.Spec { return s }

// String tells who runs where.
func (cores) String() string { return "server and load share all cores" }

var process = time.Now() //nolint:forbidigo // it measures

// ownTime is the time that passed: there is nothing finer to be had everywhere.
func ownTime() time.Duration { return time.Since(process) }
