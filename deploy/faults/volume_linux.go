package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

const capSysAdmin = 21 // capabilities(7): what mounting takes

// ownMounts is the variable that says that this process was started with mounts of its own.
const ownMounts = "ELLIS_FAULTS_OWN_MOUNTS"

// withMounts runs a command in a mount namespace of its own, so that what it mounts is nobody else's and goes with it. Where we
// are not root, it stays who it is, and may mount there.
func withMounts(cmd *exec.Cmd) error {
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{capSysAdmin}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) { // ENOSPC: no user namespace may be made
		return fmt.Errorf("a mount namespace, in which a disk can be full, is not permitted here: run this as root, give the container CAP_SYS_ADMIN, or allow unprivileged user namespaces: %w", err)
	}
	return err
}

// volume is a file system of its own that can be full.
type volume struct{ path string }

const volumeSize = 2 << 30 // bytes of memory, of which it takes only what is used

// mountVolume mounts an empty one at a folder. The process must have mounts of its own.
func mountVolume(path string) (*volume, error) {
	if os.Getenv(ownMounts) == "" {
		return nil, errors.New("a volume is mounted only where nobody else sees it")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("ellis-faults", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0711", volumeSize)); err != nil {
		return nil, fmt.Errorf("mounting a volume of limited size: %w", err)
	}
	return &volume{path}, nil
}

// fill leaves no room: what is there stays, and nothing more fits.
func (v *volume) fill() error {
	for try := 0; ; try++ {
		var st syscall.Statfs_t
		if err := syscall.Statfs(v.path, &st); err != nil {
			return err
		}
		err := v.resize((st.Blocks - st.Bfree) * uint64(st.Bsize))
		if !errors.Is(err, syscall.EINVAL) || try > 100 { // somebody wrote in between
			return err
		}
	}
}

// free makes room again.
func (v *volume) free() error { return v.resize(volumeSize) }

func (v *volume) resize(bytes uint64) error {
	return syscall.Mount("", v.path, "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", bytes))
}

// close unmounts it, and removes the folder that it was mounted at.
func (v *volume) close() error {
	return errors.Join(syscall.Unmount(v.path, syscall.MNT_DETACH), os.Remove(v.path))
}
