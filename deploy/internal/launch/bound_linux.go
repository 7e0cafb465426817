package launch

import "syscall"

// bound keeps Ctrl-C of a terminal from a child, so that the parent ends them in order, and ends the child with the parent.
func bound() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
