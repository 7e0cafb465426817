//go:build !unix

package witness

import "os"

// lock does nothing where files cannot be locked: there one process keeps one file.
func lock(*os.File) error { return nil }
