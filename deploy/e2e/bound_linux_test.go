package e2e

import "syscall"

// bound ends a child with the thread that started it, even when this process is killed.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
