//go:build !linux

package e2e

import "syscall"

// bound has nothing to add where a child cannot be tied to its parent.
func bound() *syscall.SysProcAttr { return nil }
