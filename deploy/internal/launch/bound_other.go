//go:build !unix

package launch

import "syscall"

// bound has nothing to add where a child cannot be tied to its parent.
func bound() *syscall.SysProcAttr { return nil }
