//go:build unix

package testcluster

import (
	"fmt"
	"os"
	"syscall"
)

const supported = true

const (
	signalKill   = syscall.SIGKILL
	signalStop   = syscall.SIGTERM
	signalPause  = syscall.SIGSTOP
	signalResume = syscall.SIGCONT
)

// ownGroup keeps a terminal's Ctrl-C from reaching the child.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func signalProcess(pid int, signal syscall.Signal) error { return syscall.Kill(pid, signal) }

// Lock takes an exclusive lock on a file, creating it, and returns what lets go
// of it; so does the end of the process. The error wraps ErrLocked where another
// holds it.
func Lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if err == syscall.EWOULDBLOCK {
			return nil, fmt.Errorf("%w: %s", ErrLocked, path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
