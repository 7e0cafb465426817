//go:build unix && !linux

package launch

import "syscall"

// bound keeps Ctrl-C of a terminal from a child, so that the parent ends them in order.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
