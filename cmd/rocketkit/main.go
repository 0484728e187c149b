// Command rocketkit is the operator's command line for a RocketMQ cluster and what rocketkit keeps on it:
//
//	rocketkit pool show -g billing                                        # workers of each instance
//	rocketkit pool set -g billing -t orders --workers 16 --max 64         # change them, and watch the instances follow
//	rocketkit conf get|put|repair|delete -g billing                       # the whole settings document
//	rocketkit keys new operators.key                                      # a key that signs such documents
//	rocketkit tenant acl --tenant red                                     # print the ACL rules that confine tenant red
//	rocketkit tenant acl --tenant red --apply                             # and set them on every broker
//
// The cluster, TLS and credentials come from the environment, as rocketkit.FromEnv reads it. It ends with status 0 when
// all was done, 1 when something failed, 2 when it was called wrongly, and 3 when the user said no. Commands that write
// settings end with 4 when the settings are in force but a name server has missed them, and with 5 when not every live
// instance has applied them in time.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c := console{in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv, terminal: isTerminal(os.Stdout) && isTerminal(os.Stderr)}
	status := c.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// console is what the program reads from and writes to.
type console struct {
	in       io.Reader
	out, err io.Writer
	lookup   func(string) (string, bool)
	terminal bool // somebody looks at what is written, on a screen whose lines can be written over
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// What the program ends with, beside 0.
const (
	statusFailed  = 1
	statusUsage   = 2
	statusRefused = 3
	statusMissed  = 4 // in force, but a name server missed it
	statusLate    = 5 // written, but not every live instance has applied it
)

var (
	errUsage   = errors.New("wrong usage")
	errRefused = errors.New("nothing was changed")
)

// usage is an error of how the program was called.
func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUsage, fmt.Errorf(format, args...))
}

// outcome is an error with a status of its own.
type outcome struct {
	error
	status int
}

// Unwrap returns the error.
func (o outcome) Unwrap() error { return o.error }

// run runs the program and returns its status.
func (c console) run(ctx context.Context, args []string) int {
	command := c.root()
	command.SetArgs(args)
	command.SetIn(c.in)
	command.SetOut(c.out)
	command.SetErr(c.err)
	err := command.ExecuteContext(ctx)
	var with outcome
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRefused):
		_, _ = fmt.Fprintln(c.err, err)
		return statusRefused
	}
	_, _ = fmt.Fprintln(c.err, "rocketkit:", clean(err.Error()))
	switch {
	case errors.As(err, &with):
		return with.status
	case errors.Is(err, errUsage):
		return statusUsage
	}
	return statusFailed
}
