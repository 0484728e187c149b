//go:build !unix

package testcluster

import (
	"errors"
	"syscall"
)

// Start refuses before any of these is reached; they let the package compile.
const supported = false

const (
	signalKill   = syscall.SIGKILL
	signalStop   = syscall.SIGTERM
	signalPause  = syscall.Signal(-1)
	signalResume = syscall.Signal(-1)
)

func ownGroup() *syscall.SysProcAttr { return nil }

func signalProcess(int, syscall.Signal) error { return errors.ErrUnsupported }

// Lock is unsupported here.
func Lock(string) (unlock func(), err error) { return nil, errors.ErrUnsupported }
